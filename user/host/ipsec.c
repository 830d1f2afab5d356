/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "host/ipsec.h"

struct ipsec_policy {
	struct xfrm_selector selector;
	__u32 priority; /* the lowest one counts */
	bool clear;     /* packets pass in clear */
};

/* ---- reading ---- */

/* Policies with a mark or an interface apply only to packets that have that mark, or take that interface. */
static bool is_conditional(const struct nlattr *attr)
{
	const struct xfrm_mark *mark = mnl_attr_get_payload(attr);

	switch (mnl_attr_get_type(attr)) {
	case XFRMA_IF_ID:
		return mnl_attr_get_u32(attr);
	case XFRMA_MARK:
		return mark->m;
	default:
		return false;
	}
}

static int parse_policy(const struct nlmsghdr *reply, void *into)
{
	const struct xfrm_userpolicy_info *info = mnl_nlmsg_get_payload(reply);
	struct ipsec_policies *all = into;
	struct ipsec_policy *grown;
	bool transforms = false;
	struct nlattr *attr;

	if (reply->nlmsg_type != XFRM_MSG_NEWPOLICY || info->dir != XFRM_POLICY_OUT)
		return MNL_CB_OK;
	mnl_attr_for_each (attr, reply, sizeof(*info)) {
		if (is_conditional(attr))
			return MNL_CB_OK;
		transforms |= mnl_attr_get_type(attr) == XFRMA_TMPL;
	}
	grown = realloc(all->policy, (all->count + 1) * sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	all->policy = grown;
	grown[all->count++] =
		(struct ipsec_policy){info->sel, info->priority, info->action == XFRM_POLICY_ALLOW && !transforms};
	return MNL_CB_OK;
}

static int by_priority(const void *a, const void *b)
{
	const struct ipsec_policy *left = a, *right = b;

	return (left->priority > right->priority) - (left->priority < right->priority);
}

static void read_policies(struct ipsec_policies *all)
{
	struct mnl_socket *sock = mnl_socket_open(NETLINK_XFRM);
	char buffer[MNL_NLMSG_HDRLEN + sizeof(struct xfrm_userpolicy_id)] = {}, reply[32768];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	ssize_t size;
	int more = 1;

	all->read = true;
	if (!sock)
		return;
	request->nlmsg_type = XFRM_MSG_GETPOLICY;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(request, sizeof(struct xfrm_userpolicy_id));
	if (!mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) && mnl_socket_sendto(sock, request, request->nlmsg_len) > 0)
		while (more > 0 && (size = mnl_socket_recvfrom(sock, reply, sizeof(reply))) > 0)
			more = mnl_cb_run(reply, size, 1, mnl_socket_get_portid(sock), parse_policy, all);
	mnl_socket_close(sock);
	if (all->count)
		qsort(all->policy, all->count, sizeof(*all->policy), by_priority);
}

void ipsec_free(struct ipsec_policies *all)
{
	free(all->policy);
	*all = (struct ipsec_policies){};
}

/* ---- matching ---- */

static bool prefix_has(const xfrm_address_t *prefix, __u8 bits, const struct fwd_addr *addr)
{
	const __u8 *of = (const __u8 *)prefix, *in = addr_is_v4(addr) ? (const __u8 *)&addr->w[3] : (const __u8 *)addr;
	__u8 rest = bits % 8;

	return !memcmp(of, in, bits / 8) && (!rest || !((of[bits / 8] ^ in[bits / 8]) >> (8 - rest)));
}

/* Some port of low to high has the bits of the selector. */
static bool port_matches(__be16 port, __be16 mask, __u16 low, __u16 high)
{
	for (__u32 p = low; p <= high; p++)
		if (!((p ^ ntohs(port)) & ntohs(mask)))
			return true;
	return false;
}

static bool selector_matches(const struct xfrm_selector *s, const struct fwd_rule *rule)
{
	const __u16 high = rule->target_low + (rule->listen_high - rule->listen_low);
	bool from_rule = rule->snat != FWD_SNAT_NONE && rule->snat_count &&
			 prefix_has(&s->saddr, s->prefixlen_s, &rule->pool[0]);

	if (s->family && s->family != (rule->family == FWD_FAMILY_IPV4 ? AF_INET : AF_INET6))
		return false;
	return (!s->proto || s->proto == rule->proto) && (!s->prefixlen_s || from_rule) &&
	       prefix_has(&s->daddr, s->prefixlen_d, &rule->target) &&
	       port_matches(s->dport, s->dport_mask, rule->target_low, high);
}

bool ipsec_applies(struct ipsec_policies *all, const struct fwd_rule *rule)
{
	if (!all->read)
		read_policies(all);
	for (size_t i = 0; i < all->count; i++)
		if (selector_matches(&all->policy[i].selector, rule))
			return !all->policy[i].clear;
	return false;
}
