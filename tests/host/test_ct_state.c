/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a connection, packet by packet. The names of the states are nf_conntrack's, and so is
 * their order in a connection's life.
 */
#include "native.h"
#include "fwd/config.h"

static const char *const state_names[] = {
#define X(symbol, name, timeout) [FWD_STATE_##symbol] = name,
	FWD_STATES(X)
#undef X
};

struct life {
	__u8 proto;
	__u32 ct_state;
	__u32 proof;
	bool stream;
};

#define SERVER_SEQ 5000

static struct life life_new(__u8 proto)
{
	return (struct life){.proto = proto, .ct_state = (__u32)proto << FWD_CT_PROTO_SHIFT};
}

/* One packet, as conn_update() in conntrack.h takes it. */
static void life_packet(struct life *l, enum fwd_dir dir, __u8 flags, __u32 ack)
{
	bool proves = dir == FWD_DIR_FORWARD && ct_tcp_confirms(l->ct_state, flags, ack, l->proof);

	if (l->proto == PROTO_UDP) {
		l->ct_state = ct_udp_next(l->ct_state, dir, l->stream);
		return;
	}
	/* Data, and a FIN that is no retransmission, are beyond all before; an ACK acknowledges all. */
	l->ct_state = ct_tcp_next(l->ct_state, dir, flags,
				  (flags & PSH) || ((flags & FIN) && !(l->ct_state & FWD_CT_FIN(dir))), flags & ACK, proves);
	if (dir == FWD_DIR_REPLY && (flags & SYN))
		l->proof = SERVER_SEQ + 1;
}

static __u8 flags_of(const char *text)
{
	__u8 flags = 0;

	for (; *text; text++) {
		const char *names = "FSRPA", *name = strchr(names, *text);

		if (name)
			flags |= 1 << (name - names);
	}
	return flags;
}

/*
 * A life in words. "<" and ">" are packets from the target and from the client, with their flags
 * (F S R P A); "?" behind them: the ACK number proves nothing. Any other word is the state that the
 * connection must be in.
 */
static void check_life(__u8 proto, const char *what, const char *story)
{
	struct life l = life_new(proto);
	char *copy = strdup(story), *word, *rest = NULL;

	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		const char *state = state_names[fwd_state(l.ct_state)];

		if (*word != '<' && *word != '>') {
			cr_expect(!strcmp(word, state), "%s: %s instead of %s, before \"%s\"", what, state, word,
				  rest ? rest : "");
			continue;
		}
		life_packet(&l, *word == '>' ? FWD_DIR_FORWARD : FWD_DIR_REPLY, flags_of(word + 1),
			    strchr(word, '?') ? 0x77777777 : SERVER_SEQ + 1);
	}
	free(copy);
}

Test(ct_state, tcp_handshake)
{
	check_life(6, "the ordinary one", ">S SYN_SENT <SA SYN_RECV >A ESTABLISHED");
	check_life(6, "SYN again", ">S SYN_SENT >S SYN_SENT <SA SYN_RECV >S SYN_RECV");
	check_life(6, "SYN-ACK again", ">S <SA <SA SYN_RECV >A ESTABLISHED <SA ESTABLISHED");
	check_life(6, "data with the ACK", ">S <SA >PA ESTABLISHED");
	check_life(6, "target's data before it", ">S <SA <PA SYN_RECV >A ESTABLISHED");
	check_life(6, "simultaneous open", ">S SYN_SENT <S SYN_RECV >SA SYN_RECV <SA >A ESTABLISHED");
	check_life(6, "simultaneous open, crossing", ">S <S <SA SYN_RECV >A ESTABLISHED");
	check_life(6, "no answer", ">S >A SYN_SENT >A SYN_SENT >PA SYN_SENT");
	check_life(6, "a flood's ACK, blind", ">S <SA >A? SYN_RECV >PA? SYN_RECV >A ESTABLISHED");
	check_life(6, "the answer's ACK proves nothing of the client", ">S <SA <A SYN_RECV");
	check_life(6, "ACK before the SYN-ACK", ">S >A <SA SYN_RECV");
}

Test(ct_state, tcp_close)
{
	check_life(6, "client first", ">S <SA >A ESTABLISHED >FA FIN_WAIT <A CLOSE_WAIT <FA LAST_ACK >A TIME_WAIT");
	check_life(6, "target first", ">S <SA >A ESTABLISHED <FA FIN_WAIT >A CLOSE_WAIT >FA LAST_ACK <A TIME_WAIT");
	check_life(6, "FIN and its ACK in one", ">S <SA >A >FA FIN_WAIT <FA LAST_ACK >A TIME_WAIT");
	check_life(6, "simultaneous", ">S <SA >A >F FIN_WAIT <F LAST_ACK >A LAST_ACK <A TIME_WAIT");
	check_life(6, "half-closed, data goes on",
		   ">S <SA >A >FA <A CLOSE_WAIT <PA CLOSE_WAIT >A CLOSE_WAIT <PA CLOSE_WAIT <FA "
		   "LAST_ACK >A TIME_WAIT");
	check_life(6, "half-closed by the target",
		   ">S <SA >A <FA >A CLOSE_WAIT >PA CLOSE_WAIT <A CLOSE_WAIT >FA LAST_ACK <A "
		   "TIME_WAIT");
	check_life(6, "FIN again", ">S <SA >A >FA >FA FIN_WAIT <A CLOSE_WAIT >FA CLOSE_WAIT <FA LAST_ACK");
	check_life(6, "last FIN again", ">S <SA >A >FA <FA >A TIME_WAIT <FA TIME_WAIT >A TIME_WAIT");
	check_life(6, "an ACK of one's own FIN is none", ">S <SA >A >FA FIN_WAIT >A FIN_WAIT >A FIN_WAIT");
	check_life(6, "FIN in the handshake", ">S <SA >FA FIN_WAIT");
}

Test(ct_state, tcp_reset)
{
	check_life(6, "refused", ">S <RA CLOSE");
	check_life(6, "by the client", ">S <SA >A >R CLOSE");
	check_life(6, "by the target", ">S <SA >A <R CLOSE");
	check_life(6, "by both", ">S <SA >A >R <R CLOSE >A CLOSE <A ESTABLISHED");
	check_life(6, "after FIN", ">S <SA >A >FA <R CLOSE");
	check_life(6, "a forged one: its side goes on", ">S <SA >A >R CLOSE >A ESTABLISHED");
	check_life(6, "forged in the target's name", ">S <SA >A <R CLOSE <PA ESTABLISHED");
	check_life(6, "the other side knows nothing of it", ">S <SA >A >R CLOSE <PA CLOSE <A CLOSE");
	check_life(6, "nor the client", ">S <SA >A <R CLOSE >PA CLOSE >A CLOSE");
	check_life(6, "back to where it was", ">S <SA >A >FA <A CLOSE_WAIT >R CLOSE >A CLOSE_WAIT");
}

/* RST does not acknowledge, nor does it begin anything. */
Test(ct_state, tcp_reset_adds_nothing_else)
{
	__u32 ct_state = ct_tcp_next(0, FWD_DIR_REPLY, RST | ACK | FIN | SYN, true);

	cr_expect(ct_state == (FWD_CT_SEEN(FWD_DIR_REPLY) | FWD_CT_RST(FWD_DIR_REPLY)));
	ct_state = ct_tcp_next(FWD_CT_FIN(FWD_DIR_FORWARD), FWD_DIR_REPLY, RST | ACK, false);
	cr_expect(!(ct_state & FWD_CT_FIN_ACKED(FWD_DIR_FORWARD)));
}

Test(ct_state, udp)
{
	check_life(17, "one-way", "> UNREPLIED > UNREPLIED > UNREPLIED");
	check_life(17, "answered", "> UNREPLIED < REPLIED < REPLIED");
	check_life(17, "a stream", "> < REPLIED > ASSURED < ASSURED");
}

/* Both entries carry the same bits: what one direction adds must not depend on who comes first. */
Test(ct_state, bits_only_grow_but_for_rst)
{
	const __u32 rst = FWD_CT_RST(FWD_DIR_FORWARD) | FWD_CT_RST(FWD_DIR_REPLY);

	for (__u32 ct_state = 0; ct_state < 1 << 11; ct_state++) {
		for (unsigned int i = 0; i < 2 * 2 * 64; i++) {
			enum fwd_dir dir = i & 1;
			__u32 next = ct_tcp_next(ct_state, dir, i >> 2, i >> 1 & 1);

			cr_assert(!(ct_state & ~next & ~rst));
			cr_assert(!(ct_state & ~next & FWD_CT_RST(dir_reverse(dir))));
			cr_assert(fwd_tcp_state(next) < FWD_STATE_UDP_UNREPLIED);
			/* Again the same: nothing new, so that the fast path stays fast. FIN with
			 * its own ACK settles with the first. */
			cr_assert(ct_tcp_next(next, dir, i >> 2, i >> 1 & 1) == next);
		}
	}
}

Test(ct_state, proof)
{
	const __u32 seen = FWD_CT_SYN(FWD_DIR_FORWARD) | FWD_CT_SYN(FWD_DIR_REPLY);
	static const struct {
		const char *what;
		__u32 ack, proof;
		bool proves;
	} rows[] = {
		{"the very number", 5001, 5001, true},
		{"one less", 5000, 5001, false},
		{"data was acknowledged, too", 5001 + 1460, 5001, true},
		{"at the end of the window", 5001 + 65535, 5001, true},
		{"behind it", 5001 + 65536, 5001, false},
		{"far off", 5001 + 0x80000000, 5001, false},
		{"across zero", 3, 0xfffffffe, true},
		{"zero itself", 0, 0, true},
		{"one less than zero", 0xffffffff, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(ct_tcp_confirms(seen, ACK, rows[i].ack, rows[i].proof) == rows[i].proves, "%s", rows[i].what);
	cr_expect(!ct_tcp_confirms(FWD_CT_SYN(FWD_DIR_FORWARD), ACK, 0, 0), "the target has not answered");
	cr_expect(!ct_tcp_confirms(seen, SYN | ACK, 7, 7), "a SYN");
	cr_expect(!ct_tcp_confirms(seen, RST | ACK, 7, 7), "a RST");
	cr_expect(!ct_tcp_confirms(seen, PSH, 7, 7), "no ACK");
	cr_expect(ct_tcp_confirms(seen, FIN | ACK, 7, 7), "a FIN's ACK is one");
}

Test(ct_state, what_opens)
{
	for (unsigned int flags = 0; flags < 256; flags++) {
		bool want = (flags & (SYN | ACK | RST | FIN)) == SYN;

		cr_expect(ct_opens(PROTO_TCP, flags) == want, "flags %02x", flags);
		cr_expect(ct_opens(PROTO_UDP, flags));
	}
}

static __u32 track_after(const char *story)
{
	struct life l = life_new(PROTO_TCP);
	char *copy = strdup(story), *word, *rest = NULL;

	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		life_packet(&l, *word == '>' ? FWD_DIR_FORWARD : FWD_DIR_REPLY, flags_of(word + 1), SERVER_SEQ + 1);
	free(copy);
	return l.ct_state;
}

/* A client that comes again from the same port: in TIME_WAIT and after a RST a new connection. */
Test(ct_state, what_a_syn_reopens)
{
	cr_expect(ct_is_closed(track_after(">S <SA >A >FA <FA >A")), "TIME_WAIT");
	cr_expect(ct_is_closed(track_after(">S <SA >A <FA >FA")), "LAST_ACK");
	cr_expect(ct_is_closed(track_after(">S <SA >A >R")), "RST by the client");
	cr_expect(ct_is_closed(track_after(">S <RA")), "refused");
	cr_expect(!ct_is_closed(track_after(">S")), "SYN_SENT");
	cr_expect(!ct_is_closed(track_after(">S <SA")), "SYN_RECV");
	cr_expect(!ct_is_closed(track_after(">S <SA >A")), "ESTABLISHED");
	cr_expect(!ct_is_closed(track_after(">S <SA >A >FA")), "FIN_WAIT");
	cr_expect(!ct_is_closed(track_after(">S <SA >A <FA >A")), "CLOSE_WAIT");
	for (__u32 ct_state = 0; ct_state < 1 << 11; ct_state++)
		cr_expect(!ct_is_closed(17U << FWD_CT_PROTO_SHIFT | ct_state), "UDP is never over");
}

/* The table of nf_conntrack: tcp_timeouts[] and udp_timeouts[]. */
Test(ct_state, timeouts)
{
	static const struct {
		enum fwd_state state;
		const char *timeout;
		unsigned int seconds;
	} rows[] = {
		{FWD_STATE_TCP_SYN_SENT, "tcp_syn_sent", 120},
		{FWD_STATE_TCP_SYN_RECV, "tcp_syn_recv", 60},
		{FWD_STATE_TCP_ESTABLISHED, "tcp_established", 5 * 24 * 3600},
		{FWD_STATE_TCP_FIN_WAIT, "tcp_fin_wait", 120},
		{FWD_STATE_TCP_CLOSE_WAIT, "tcp_close_wait", 60},
		{FWD_STATE_TCP_LAST_ACK, "tcp_last_ack", 30},
		{FWD_STATE_TCP_TIME_WAIT, "tcp_time_wait", 120},
		{FWD_STATE_TCP_CLOSE, "tcp_close", 10},
		{FWD_STATE_UDP_UNREPLIED, "udp", 30},
		{FWD_STATE_UDP_REPLIED, "udp", 30},
		{FWD_STATE_UDP_ASSURED, "udp_stream", 120},
	};
	static const struct {
		const char *name;
		unsigned int seconds;
	} timeouts[] = {
#define X(symbol, index, name, seconds) [FWD_TIMEOUT_##symbol] = {name, seconds},
		FWD_TIMEOUTS(X)
#undef X
	};

	cr_assert(sizeof(rows) / sizeof(rows[0]) == FWD_STATE_MAX);
	for (size_t i = 0; i < FWD_STATE_MAX; i++) {
		enum fwd_timeout t = fwd_state_timeout(rows[i].state);

		cr_expect(!strcmp(timeouts[t].name, rows[i].timeout), "%s: %s", state_names[rows[i].state],
			  timeouts[t].name);
		cr_expect(timeouts[t].seconds == rows[i].seconds, "%s: %u s", timeouts[t].name, timeouts[t].seconds);
		cr_expect(FWD_TICKS(timeouts[t].seconds) < 0x80000000, "half of the clock");
	}
	cr_expect(FWD_TICKS(FWD_TIMEOUT_MAX_SEC) < 0x80000000);
}
