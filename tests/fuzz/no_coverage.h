/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is behind this line is no target: libFuzzer is not to count it as covered, nor to be led by it.
 */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
