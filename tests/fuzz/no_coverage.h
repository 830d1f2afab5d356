/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The code after this include is not under test: libFuzzer must neither count its coverage nor be guided by it. Each
 * target ends with "#pragma clang attribute pop".
 */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
