/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The states of a connection, packet by packet. Names and order are nf_conntrack's.
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

/* One packet, as conn_update() in conntrack.h processes it. */
static void life_packet(struct life *l, enum fwd_dir dir, __u8 flags, __u32 ack)
{
	bool proves = dir == FWD_DIR_FORWARD && ct_tcp_confirms(l->ct_state, flags, ack, l->proof);

	if (l->proto == PROTO_UDP) {
		l->ct_state = ct_udp_next(l->ct_state, dir, l->stream);
		return;
	}
	if ((flags & (SYN | RST)) == SYN) {
		l->ct_state = ct_tcp_next_syn(l->ct_state, dir, false);
		if (dir == FWD_DIR_REPLY)
			l->proof = SERVER_SEQ + 1;
		return;
	}
	/* Data, and a FIN that is no retransmission, are beyond all before; an ACK acknowledges all. */
	l->ct_state =
		ct_tcp_next(l->ct_state, dir, flags,
			    (flags & PSH) || ((flags & FIN) && !(l->ct_state & FWD_CT_FIN(dir))), flags & ACK, proves);
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
 * A connection as text. "<" and ">" are packets from the target and from the client, with their flags (F S R P A); "?"
 * after them: a wrong ACK number. Any other word is the expected state.
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
	check_life(6, "ordinary", ">S SYN_SENT <SA SYN_RECV >A ESTABLISHED");
	check_life(6, "SYN again", ">S SYN_SENT >S SYN_SENT <SA SYN_RECV >S SYN_RECV");
	check_life(6, "SYN-ACK again", ">S <SA <SA SYN_RECV >A ESTABLISHED <SA ESTABLISHED");
	check_life(6, "data with the ACK", ">S <SA >PA ESTABLISHED");
	check_life(6, "target's data before it", ">S <SA <PA SYN_RECV >A ESTABLISHED");
	check_life(6, "simultaneous open", ">S SYN_SENT <S SYN_RECV >SA SYN_RECV <SA >A ESTABLISHED");
	check_life(6, "simultaneous open, crossing", ">S <S <SA SYN_RECV >A ESTABLISHED");
	check_life(6, "no reply", ">S >A SYN_SENT >A SYN_SENT >PA SYN_SENT");
	check_life(6, "ACK with a guessed number", ">S <SA >A? SYN_RECV >PA? SYN_RECV >A ESTABLISHED");
	check_life(6, "ACK of the target", ">S <SA <A SYN_RECV");
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
	check_life(6, "ACK of the side that sent FIN", ">S <SA >A >FA FIN_WAIT >A FIN_WAIT >A FIN_WAIT");
	check_life(6, "FIN in the handshake", ">S <SA >FA FIN_WAIT");
}

Test(ct_state, tcp_reset)
{
	check_life(6, "refused", ">S <RA CLOSE");
	check_life(6, "by the client", ">S <SA >A >R CLOSE");
	check_life(6, "by the target", ">S <SA >A <R CLOSE");
	check_life(6, "by both", ">S <SA >A >R <R CLOSE >A CLOSE <A ESTABLISHED");
	check_life(6, "after FIN", ">S <SA >A >FA <R CLOSE");
	check_life(6, "forged: the client continues", ">S <SA >A >R CLOSE >A ESTABLISHED");
	check_life(6, "forged: the target continues", ">S <SA >A <R CLOSE <PA ESTABLISHED");
	check_life(6, "packets of the other side", ">S <SA >A >R CLOSE <PA CLOSE <A CLOSE");
	check_life(6, "packets of the client after the target's RST", ">S <SA >A <R CLOSE >PA CLOSE >A CLOSE");
	check_life(6, "forged: the previous state returns", ">S <SA >A >FA <A CLOSE_WAIT >R CLOSE >A CLOSE_WAIT");
}

/* The other flags of a segment with RST are ignored. */
Test(ct_state, tcp_reset_adds_nothing_else)
{
	__u32 ct_state = ct_tcp_next(0, FWD_DIR_REPLY, RST | ACK | FIN | SYN, true, true, true);

	cr_expect(ct_state == (FWD_CT_SEEN(FWD_DIR_REPLY) | FWD_CT_RST(FWD_DIR_REPLY)));
	ct_state = ct_tcp_next(FWD_CT_FIN(FWD_DIR_FORWARD), FWD_DIR_REPLY, RST | ACK, false, true, false);
	cr_expect(!(ct_state & FWD_CT_FIN_ACKED(FWD_DIR_FORWARD)));
}

Test(ct_state, udp)
{
	check_life(17, "one-way", "> UNREPLIED > UNREPLIED > UNREPLIED");
	check_life(17, "replied", "> UNREPLIED < REPLIED < REPLIED");
	check_life(17, "a stream", "> < REPLIED > ASSURED < ASSURED");
}

/* A SYN changes a confirmed connection only if it reopens it, which leaves nothing of its end. */
Test(ct_state, tcp_syn)
{
	for (__u32 ct_state = 0; ct_state < 1 << 11; ct_state++) {
		for (enum fwd_dir dir = FWD_DIR_FORWARD; dir < FWD_DIR_MAX; dir++) {
			bool confirmed = ct_state & FWD_CT_CONFIRMED;
			__u32 syn = FWD_CT_SEEN(dir) | FWD_CT_SYN(dir);

			cr_assert(ct_tcp_next_syn(ct_state, dir, false) == (confirmed ? ct_state : ct_state | syn));
			cr_assert(ct_tcp_next_syn(ct_state, dir, true) == ((ct_state & ~FWD_CT_CLOSING) | syn));
		}
	}
}

/* Both directions have the same bits: the bits that one adds must not depend on the order. A packet removes only
 * bits of its own direction: a RST that it continues after, and a FIN that it sends data after. */
Test(ct_state, bits_that_are_removed)
{
	for (__u32 ct_state = 0; ct_state < 1 << 11; ct_state++) {
		for (unsigned int i = 0; i < 2 * 8 * 64; i++) {
			enum fwd_dir dir = i & 1;
			bool advances = i & 2, closes = i & 4, confirms = i & 8;
			__u8 flags = (i >> 4) & ~SYN;
			__u32 next = ct_tcp_next(ct_state, dir, flags, advances, closes, confirms), removed;

			removed = FWD_CT_RST(dir) | (advances ? FWD_CT_FIN(dir) | FWD_CT_FIN_ACKED(dir) : 0);
			cr_assert(!(ct_state & ~next & ~removed));
			cr_assert(fwd_tcp_state(next) < FWD_STATE_UDP_UNREPLIED);
			/* A retransmission changes nothing, so that the fast path stays fast. */
			cr_assert(ct_tcp_next(next, dir, flags, false, closes, confirms) == next);
		}
	}
}

/* ---- numbers: the client has sent 1000 bytes to 6000, the target 70000 to 71000 -------------------------------- */

static const struct ct_seen client = {.ack = 71000, .end = 6000}, target = {.ack = 6000, .end = 71000};

static bool plausible(__u32 seq, __u32 ack, __u8 flags)
{
	const struct ct_segment g = {.seq = seq, .end = seq, .ack = ack, .flags = flags};

	return ct_tcp_is_plausible(&g, client, target);
}

Test(ct_state, plausible_segments)
{
	cr_expect(plausible(6000, 71000, ACK), "the next one");
	cr_expect(plausible(5000, 71000, ACK), "a retransmission");
	cr_expect(plausible(5000, 70000, ACK), "a late one");
	cr_expect(plausible(6000 + (30 << 20), 71000, ACK | FIN), "30 MiB in flight");
	cr_expect(!plausible(6000 + (1 << 26), 71000, ACK), "more than any window");
	cr_expect(!plausible(6000 - 65537, 71000, ACK), "long ago");
	cr_expect(!plausible(6000, 71001, ACK), "an ACK of data that the target has not sent");
	cr_expect(!plausible(6000, 71000 - 65537, ACK), "an ACK of long ago");
	cr_expect(!plausible(6000, 0x80000000, ACK), "a blind ACK");
	cr_expect(!plausible(6000, 71000, PSH), "no ACK");
}

Test(ct_state, exact_resets)
{
	static const struct {
		const char *what;
		__u32 seq;
		struct ct_seen own, other;
		bool resets;
	} rows[] = {
		{"the number that the target expects", 6000, {71000, 6000}, {6000, 71000}, true},
		{"after data in flight", 6000 + (30 << 20), {71000, 6000 + (30 << 20)}, {6000, 71000}, true},
		{"the target's last ACK, though data is in flight", 6000, {71000, 9000}, {6000, 71000}, true},
		{"one more", 6001, {71000, 6000}, {6000, 71000}, false},
		{"one less", 5999, {71000, 6000}, {6000, 71000}, false},
		{"4 MiB more", 6000 + (4 << 20), {71000, 6000}, {6000, 71000}, false},
		{"across zero", 0, {71000, 0}, {0xfffffff0, 71000}, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ct_segment g = {.seq = rows[i].seq, .end = rows[i].seq, .flags = RST};

		cr_expect(ct_tcp_resets(&g, rows[i].own, rows[i].other) == rows[i].resets, "%s", rows[i].what);
	}
}

/* Data after a FIN shows that the FIN was forged. */
Test(ct_state, forged_fin)
{
	check_life(6, "the client sends on", ">S <SA >A >FA FIN_WAIT <A CLOSE_WAIT >PA ESTABLISHED");
	check_life(6, "the target sends on", ">S <SA >A <FA FIN_WAIT <PA ESTABLISHED");
}

/* A segment of the target before its SYN belongs to an earlier connection between the same ports. */
Test(ct_state, expected_segments)
{
	const __u32 tcp = 6U << FWD_CT_PROTO_SHIFT, udp = 17U << FWD_CT_PROTO_SHIFT;

	cr_expect(!ct_expects(tcp, FWD_DIR_REPLY, ACK), "a challenge ACK");
	cr_expect(!ct_expects(tcp, FWD_DIR_REPLY, ACK | PSH), "data");
	cr_expect(!ct_expects(tcp, FWD_DIR_REPLY, ACK | FIN), "a FIN");
	cr_expect(ct_expects(tcp, FWD_DIR_REPLY, SYN | ACK), "a SYN-ACK");
	cr_expect(ct_expects(tcp, FWD_DIR_REPLY, RST | ACK), "a RST");
	cr_expect(ct_expects(tcp, FWD_DIR_FORWARD, ACK), "the client's");
	cr_expect(ct_expects(tcp | FWD_CT_SYN(FWD_DIR_REPLY), FWD_DIR_REPLY, ACK), "after the SYN");
	cr_expect(ct_expects(tcp | FWD_CT_CONFIRMED, FWD_DIR_REPLY, ACK), "of a confirmed connection");
	cr_expect(ct_expects(udp, FWD_DIR_REPLY, 0), "UDP");
}

Test(ct_state, udp_streams)
{
	const __u32 both = FWD_CT_SEEN(FWD_DIR_FORWARD) | FWD_CT_SEEN(FWD_DIR_REPLY), udp = 17U << FWD_CT_PROTO_SHIFT;

	for (enum fwd_dir dir = FWD_DIR_FORWARD; dir < FWD_DIR_MAX; dir++) {
		cr_expect(ct_udp_next(udp | both, dir, true) & FWD_CT_CONFIRMED, "a stream of direction %d", dir);
		cr_expect(!(ct_udp_next(udp, dir, true) & FWD_CT_CONFIRMED), "one-way, direction %d", dir);
	}
	cr_expect(!(ct_udp_next(udp | both, FWD_DIR_REPLY, false) & FWD_CT_CONFIRMED), "two replies at once");
}

Test(ct_state, proof)
{
	const __u32 seen = FWD_CT_SYN(FWD_DIR_FORWARD) | FWD_CT_SYN(FWD_DIR_REPLY);
	static const struct {
		const char *what;
		__u32 ack, proof;
		bool proves;
	} rows[] = {
		{"the expected number", 5001, 5001, true},
		{"one less", 5000, 5001, false},
		{"data is acknowledged, too", 5001 + 1460, 5001, true},
		{"at the end of the window", 5001 + 65535, 5001, true},
		{"behind it", 5001 + 65536, 5001, false},
		{"far away", 5001 + 0x80000000, 5001, false},
		{"across zero", 3, 0xfffffffe, true},
		{"zero itself", 0, 0, true},
		{"one less than zero", 0xffffffff, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(ct_tcp_confirms(seen, ACK, rows[i].ack, rows[i].proof) == rows[i].proves, "%s", rows[i].what);
	cr_expect(!ct_tcp_confirms(FWD_CT_SYN(FWD_DIR_FORWARD), ACK, 0, 0), "the target has not replied");
	cr_expect(!ct_tcp_confirms(seen, SYN | ACK, 7, 7), "a SYN");
	cr_expect(!ct_tcp_confirms(seen, RST | ACK, 7, 7), "a RST");
	cr_expect(!ct_tcp_confirms(seen, PSH, 7, 7), "no ACK");
	cr_expect(ct_tcp_confirms(seen, FIN | ACK, 7, 7), "FIN with ACK");
}

Test(ct_state, opening_packets)
{
	for (unsigned int flags = 0; flags < 256; flags++) {
		bool want = (flags & (SYN | ACK | RST | FIN)) == SYN;

		cr_expect(ct_opens(PROTO_TCP, flags) == want, "flags %02x", flags);
		cr_expect(ct_opens(PROTO_UDP, flags));
	}
}

static __u32 ct_state_after(const char *story)
{
	struct life l = life_new(PROTO_TCP);
	char *copy = strdup(story), *word, *rest = NULL;

	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		life_packet(&l, *word == '>' ? FWD_DIR_FORWARD : FWD_DIR_REPLY, flags_of(word + 1), SERVER_SEQ + 1);
	free(copy);
	return l.ct_state;
}

/* The states in which a SYN of the same client and port opens a new connection. */
Test(ct_state, closed_states)
{
	cr_expect(ct_is_closed(ct_state_after(">S <SA >A >FA <FA >A")), "TIME_WAIT");
	cr_expect(ct_is_closed(ct_state_after(">S <SA >A <FA >FA")), "LAST_ACK");
	cr_expect(ct_is_closed(ct_state_after(">S <SA >A >R")), "RST by the client");
	cr_expect(ct_is_closed(ct_state_after(">S <RA")), "refused");
	cr_expect(!ct_is_closed(ct_state_after(">S")), "SYN_SENT");
	cr_expect(!ct_is_closed(ct_state_after(">S <SA")), "SYN_RECV");
	cr_expect(!ct_is_closed(ct_state_after(">S <SA >A")), "ESTABLISHED");
	cr_expect(!ct_is_closed(ct_state_after(">S <SA >A >FA")), "FIN_WAIT");
	cr_expect(!ct_is_closed(ct_state_after(">S <SA >A <FA >A")), "CLOSE_WAIT");
	for (__u32 ct_state = 0; ct_state < 1 << 11; ct_state++)
		cr_expect(!ct_is_closed(17U << FWD_CT_PROTO_SHIFT | ct_state), "UDP is never closed");
}

/* nf_conntrack's tcp_timeouts[] and udp_timeouts[]. */
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
		cr_expect(FWD_TICKS(timeouts[t].seconds) < 0x80000000, "not below half of the clock's range");
	}
	cr_expect(FWD_TICKS(FWD_TIMEOUT_MAX_SEC) < 0x80000000);
}
