/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/xfrm.h>
#include <stdlib.h>
#include <string.h>
#include "base/array.h"
#include "host/ipsec.h"
#include "host/netlink.h"

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

static bool add(struct ipsec_policies *all, const struct ipsec_policy *policy)
{
	struct ipsec_policy *grown = array_grow(all->policy, all->count, sizeof(*grown));

	if (!grown)
		return false;
	all->policy = grown;
	grown[all->count++] = *policy;
	return true;
}

static int parse_policy(const struct nlmsghdr *reply, void *into)
{
	const struct xfrm_userpolicy_info *info = mnl_nlmsg_get_payload(reply);
	struct ipsec_policy policy = {.selector = info->sel, .priority = info->priority};
	bool transforms = false;
	struct nlattr *attr;

	if (reply->nlmsg_type != XFRM_MSG_NEWPOLICY || info->dir != XFRM_POLICY_OUT)
		return MNL_CB_OK;
	mnl_attr_for_each (attr, reply, sizeof(*info)) {
		if (is_conditional(attr))
			return MNL_CB_OK;
		transforms |= mnl_attr_get_type(attr) == XFRMA_TMPL;
	}
	policy.clear = info->action == XFRM_POLICY_ALLOW && !transforms;
	if (add(into, &policy))
		return MNL_CB_OK;
	errno = ENOMEM;
	return MNL_CB_ERROR;
}

/* Returns 0 or a negative errno. */
static int dump(struct mnl_socket *sock, struct ipsec_policies *all)
{
	char buffer[MNL_NLMSG_HDRLEN + sizeof(struct xfrm_userpolicy_id)] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = XFRM_MSG_GETPOLICY;
	request->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(request, sizeof(struct xfrm_userpolicy_id));
	return netlink_dump(sock, request, parse_policy, all);
}

enum fwd_exit ipsec_read(struct ipsec_policies *all, struct fwd_report *report)
{
	struct mnl_socket *sock;
	int error;

	if (all->read)
		return FWD_DONE;
	sock = netlink_open(NETLINK_XFRM);
	error = sock ? -dump(sock, all) : errno;
	/* net/netlink/af_netlink.c, netlink_create(): no protocol, and no module that has it. */
	all->read = !error || (!sock && error == EPROTONOSUPPORT);
	if (sock)
		mnl_socket_close(sock);
	if (all->read)
		return FWD_DONE;
	ipsec_free(all);
	return report_error(report, ABOUT(.fix = error == EPERM ? "be root, or have CAP_NET_ADMIN" : errno_fix(error)),
			    "can't read the IPsec policies of this host, which fwdctl must not bypass: %s",
			    strerror(error));
}

void ipsec_free(struct ipsec_policies *all)
{
	free(all->policy);
	*all = (struct ipsec_policies){};
}
