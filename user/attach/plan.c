/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "attach/device.h"
#include "attach/nf_module.h"
#include "attach/plan.h"
#include "attach/table.h"
#include "attach/tc.h"
#include "attach/xdp.h"
#include "host/conntrack.h"
#include "host/iface.h"
#include "host/netdev.h"
#include "state/config.h"
#include "state/bpf_log.h"
#include "state/control.h"
#include "state/kfunc.h"
#include "state/loader.h"
#include "state/rules.h"

/* The plan for one device: its new state, and the old one for a rollback. */
struct plan {
	struct device device;  /* as it is to be */
	struct fwd_device old; /* as it was; of a new device only mode and mode_reason */
	bool known;            /* it is attached already, and keeps its index */
	bool conntrack;        /* conntrack_has_kfuncs() */
	struct fwd_programs programs;
	int old_ingress_fd; /* the programs that are attached now; -1: none */
	int old_egress_fd;
	int old_xdp_fd;
};

/* Kinds of devices that have the addresses and the routes of their ports. Others may leave them to a third device, as
 * the datapath of Open vSwitch does. */
static bool owns_addresses(const char *kind)
{
	static const char *const kinds[] = {"bridge", "bond", "team", "batadv"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* Packets of a port, and their replies, belong to its master. A device in a VRF keeps its own. */
static enum fwd_exit check_port(const char *name, struct fwd_report *report)
{
	char kind[IF_NAMESIZE], master_name[IF_NAMESIZE], fix[FWD_FIX_TEXT];
	__u32 master;

	if (!netdev_master(if_nametoindex(name), &master, kind, sizeof(kind)) || !strcmp(kind, "vrf") ||
	    !if_indextoname(master, master_name))
		return FWD_DONE;
	if (!owns_addresses(kind))
		return report_error(report, ABOUT(.object = name), "is a port of the %s %s, which receives its packets",
				    *kind ? kind : "device", master_name);
	snprintf(fix, sizeof(fix), "fwdctl attach %s", master_name);
	return report_error(report, ABOUT(.object = name, .fix = fix),
			    "is a port of the %s %s, which has the addresses and the routes", kind, master_name);
}

/* Checks that need no instance. */
static enum fwd_exit check_names(const struct attach_request *request, struct fwd_report *report)
{
	/* One entry of `devices` is the loopback device's. */
	if (request->count > FWD_DEVICES_MAX - 1)
		return report_usage(report, NULL, "expected at most %d devices", FWD_DEVICES_MAX - 1);
	for (size_t i = 0; i < request->count; i++) {
		__u32 ifindex = if_nametoindex(request->names[i]);

		/* A device may be named by an alternative name, too. */
		for (size_t j = 0; j < i; j++)
			if (!strcmp(request->names[i], request->names[j]) ||
			    (ifindex && ifindex == if_nametoindex(request->names[j])))
				return report_usage(report, ABOUT(.object = request->names[i]), "is given twice");
	}
	for (size_t i = 0; i < request->count; i++) {
		enum fwd_link link;

		if (iface_link(request->names[i], &link, report) || check_port(request->names[i], report))
			return FWD_NOT_DONE;
	}
	return FWD_DONE;
}

/* The instance becomes this network namespace's. */
static enum fwd_exit claim_netns(struct instance *in, struct device_list *list, struct fwd_report *report)
{
	bool foreign;

	if (devices_check_netns(in, list, &foreign, report))
		return FWD_NOT_DONE;
	for (size_t i = 0; foreign && i < list->count; i++)
		if (device_detach(in, &list->device[i], report))
			return FWD_NOT_DONE;
	if (foreign)
		list->count = 0;
	return instance_claim_netns(in, report);
}

static enum fwd_exit choose_index(const struct device_list *list, struct device *device, struct fwd_report *report)
{
	bool taken[FWD_DEVICES_MAX] = {};

	for (size_t i = 0; i < list->count; i++)
		taken[list->device[i].entry.index % FWD_DEVICES_MAX] = true;
	for (__u32 i = 0; i < FWD_DEVICES_MAX; i++) {
		if (taken[i])
			continue;
		device->entry.index = i;
		return FWD_DONE;
	}
	return report_error(report, ABOUT(.object = device->entry.name),
			    "%d devices are attached already, which is the maximum", FWD_DEVICES_MAX - 1);
}

/* A device that is not attached yet. It is added to the list, so that the next one gets another index. */
static enum fwd_exit add_new(struct device_list *list, const char *name, struct device *device,
			     struct fwd_report *report)
{
	char real[IF_NAMESIZE];

	device->ifindex = if_nametoindex(name);
	device->live = true;
	device_set_name(device, if_indextoname(device->ifindex, real) ?: name);
	if (choose_index(list, device, report))
		return FWD_NOT_DONE;
	list->device[list->count++] = *device;
	return FWD_DONE;
}

static enum fwd_exit make_plan(const struct instance *in, struct device_list *list, const char *name,
			       enum mode_request mode, int candidates, struct plan *plan, struct fwd_report *report)
{
	const struct device *known = device_find(list, name);
	enum fwd_link link = FWD_LINK_ETHERNET; /* frames of the loopback device have an Ethernet header, too */
	struct device *device = &plan->device;

	if (if_nametoindex(name) != FWD_LOOPBACK && iface_link(name, &link, report))
		return FWD_NOT_DONE;
	plan->known = known;
	if (known)
		*device = *known;
	else if (add_new(list, name, device, report))
		return FWD_NOT_DONE;
	plan->old = device->entry;
	device->entry.link = link;
	device->entry.tunnel = netdev_is_tunnel(device->ifindex);
	device->entry.rp_filter = iface_rp_filter(name);
	device_set_version(device);
	if (mode_choose(device, plan->known, mode, candidates, report) ||
	    loader_load(&in->maps, &in->meta, &device->entry, plan->conntrack, &plan->programs, report))
		return FWD_NOT_DONE;
	if (plan->known)
		device_programs(in, device, &plan->old_ingress_fd, &plan->old_egress_fd);
	if (plan->known && plan->old.mode != FWD_MODE_TC)
		plan->old_xdp_fd = xdp_program(in, device);
	return FWD_DONE;
}

/* The reason why XDP was refused, in text[size]. `error`: a negative errno. */
static void xdp_refusal(int error, char *text, size_t size)
{
	if (error == -EEXIST)
		snprintf(text, size, "another XDP program is attached, and the kernel has no room for a second one");
	else if (loader_verifier_refused(error, text, size) || *bpf_log_kernel_message(bpf_log_text(), text, size))
		return;
	else if (error == -EOPNOTSUPP)
		snprintf(text, size, "its driver does not send frames that XDP redirects to it");
	else
		snprintf(text, size, "%s", strerror(-error));
}

/* XDP was refused: an error if the user requested it, else the device is attached by tc. */
static enum fwd_exit fall_back_to_tc(struct plan *plan, int error, struct fwd_report *report)
{
	struct fwd_device *entry = &plan->device.entry;
	char reason[FWD_REASON_TEXT];

	xdp_refusal(error, reason, sizeof(reason));
	bpf_log_report(report);
	if (entry->mode_reason == FWD_MODE_REASON_ASKED)
		return report_error(report,
				    ABOUT(.object = entry->name, .fix = error == -EEXIST
										? "detach that one, or use --mode tc"
										: "use --mode tc"),
				    "can't attach at %s: %s", device_mode_name(&plan->device), reason);
	report_note(report, ABOUT(.object = entry->name), "is attached by tc only, because XDP was refused: %s",
		    reason);
	entry->mode = FWD_MODE_TC;
	entry->mode_reason = error == -EEXIST ? FWD_MODE_REASON_FOREIGN : FWD_MODE_REASON_REFUSED;
	return FWD_DONE;
}

static void note_no_redirects(const struct device *device, struct fwd_report *report)
{
	const char *fix = mode_is_veth(device->entry.name)
				  ? "turn on GRO at its peer, or attach an XDP program there; then attach again"
				  : NULL;

	report_note(report, ABOUT(.object = device->entry.name, .fix = fix),
		    "packets that leave by it are forwarded by tc, because its driver does not send frames that XDP "
		    "redirects to it");
}

/* Opens an object, because one that failed to load cannot be loaded again. *error: that of xdp_attach(). */
static enum fwd_exit load_xdp(const struct instance *in, const struct plan *plan, const __u8 *mac, bool single,
			      bool *redirects, int *error, struct fwd_report *report)
{
	const struct device *device = &plan->device;
	struct fwd_xdp *xdp =
		loader_open_xdp(&in->maps, &in->meta, &device->entry, plan->conntrack, device->ifindex, mac, report);

	if (!xdp)
		return FWD_NOT_DONE;
	*error = xdp_attach(in, device, xdp, single, redirects);
	loader_close_xdp(xdp);
	return FWD_DONE;
}

/* After tc, which handles all that XDP passes. Writes the mode that the device has in the end. */
static enum fwd_exit attach_xdp(const struct instance *in, struct plan *plan, struct fwd_report *report)
{
	struct device *device = &plan->device;
	bool chosen = device->entry.mode_reason == FWD_MODE_REASON_NATIVE, redirects = false;
	__u8 mac[ETH_ALEN];
	int error;

	if (device->entry.mode == FWD_MODE_TC)
		return xdp_detach(in, device, report) ? FWD_NOT_DONE : device_write(in, device, report);
	if (!iface_mac(device->entry.name, mac))
		return report_error(report, ABOUT(.object = device->entry.name), "no such device");
	if (load_xdp(in, plan, mac, false, &redirects, &error, report))
		return FWD_NOT_DONE;
	/* Newer kernels (6.12.117 does) refuse to put the program into the dispatcher of libxdp 1.3.1: "Extension
	 * program changes packet data, while original does not" (kernel/bpf/verifier.c). */
	if (error == -EINVAL && load_xdp(in, plan, mac, true, &redirects, &error, report))
		return FWD_NOT_DONE;
	if (!error && chosen && !redirects)
		error = -EOPNOTSUPP;
	if (error && (fall_back_to_tc(plan, error, report) || xdp_detach(in, device, report)))
		return FWD_NOT_DONE;
	if (!error && !redirects && device->entry.mode == FWD_MODE_XDP)
		note_no_redirects(device, report);
	return device_write(in, device, report);
}

static enum fwd_exit attach_tc(const struct instance *in, struct plan *plan, bool attached, struct fwd_report *report)
{
	struct device *device = &plan->device;
	const size_t words = sizeof(struct fwd_device_stats) / sizeof(__u64);

	/* An attach or a detach that was interrupted may have left one of the two programs. */
	if (plan->known && !attached && device_detach(in, device, report))
		return FWD_NOT_DONE;
	if (!attached)
		device->entry.hook = tc_choose_hook(plan->programs.ingress_fd);
	if (!plan->known && map_set_sum(&in->maps, FWD_MAP_DEVICE_STATS, device->entry.index, words, NULL))
		return report_error(report, ABOUT(.object = device->entry.name), "can't reset its counters");
	if (device_write(in, device, report) ||
	    device_attach(in, device, plan->programs.ingress_fd, plan->programs.egress_fd, report))
		return FWD_NOT_DONE;
	/* What it receives from now on, the programs see. The caller writes the record. */
	if (!attached)
		netdev_received(device->ifindex, &device->entry.received);
	return FWD_DONE;
}

/* Programs of others that take packets first, and the versions. */
static void report_attached(const struct instance *in, const struct plan *plan, bool replaced,
			    struct fwd_report *report)
{
	const struct device *device = &plan->device;

	tc_note_earlier(in, device, report);
	xdp_note_foreign(in, device, report);
	report_progress(report, ABOUT(.object = device->entry.name),
			"%s at tc by %s, link %s; mode %s: %s; fwdctl %s%s%s", replaced ? "replaced" : "attached",
			device_hook_name(device), device_link_name(device), device_mode_name(device),
			device_mode_reason(device), device->entry.version, replaced ? " in place of " : "",
			replaced ? plan->old.version : "");
}

static enum fwd_exit carry_out(const struct instance *in, struct plan *plan, struct fwd_report *report)
{
	struct device *device = &plan->device;
	bool attached = plan->old_ingress_fd >= 0 && plan->old_egress_fd >= 0;

	/* There is one loopback device for all instances of this network namespace: the first instance attaches it. */
	if (device_is_loopback(device) && !attached && tc_is_taken(in, device))
		return FWD_DONE;
	if (attach_tc(in, plan, attached, report) || attach_xdp(in, plan, report))
		return FWD_NOT_DONE;
	if (!device_is_loopback(device))
		report_attached(in, plan, attached, report);
	return FWD_DONE;
}

static void roll_back(const struct instance *in, const struct plan *plan, struct fwd_report *report)
{
	struct device before = plan->device;

	if (plan->known)
		before.entry = plan->old;
	xdp_restore(in, &before, plan->old_xdp_fd);
	if (plan->known)
		device_write(in, &before, report);
	if (plan->old_ingress_fd >= 0 && plan->old_egress_fd >= 0)
		device_attach(in, &plan->device, plan->old_ingress_fd, plan->old_egress_fd, report);
	else
		device_detach(in, &plan->device, report);
}

static enum fwd_exit carry_out_all(const struct instance *in, struct plan *plans, size_t count,
				   struct fwd_report *report)
{
	size_t i = 0;

	while (i < count && !carry_out(in, &plans[i], report))
		i++;
	if (i == count)
		return FWD_DONE;
	for (size_t n = i + 1; n-- > 0;)
		roll_back(in, &plans[n], report);
	return FWD_NOT_DONE;
}

/* The kernel's limits of ICMP errors hold for those of the programs, too. */
static enum fwd_exit follow_icmp_ratelimit(const struct instance *in, struct fwd_report *report)
{
	struct fwd_config config;

	if (config_read(in, &config, report))
		return FWD_NOT_DONE;
	iface_icmp_limits(&config);
	return config_write(in, &config, report);
}

/* The loopback device is planned last, so that an error names a device of the user, and attached first, so that no
 * packet that arrives by the others is missed there. */
static enum fwd_exit attach_all(struct instance *in, struct device_list *list, const struct attach_request *request,
				struct plan *plans, struct fwd_report *report)
{
	int candidates = mode_candidates(list, request->names, request->count);
	char loopback[IF_NAMESIZE];
	int error;

	if (!if_indextoname(FWD_LOOPBACK, loopback)) {
		error = iface_lookup_error();
		return report_error(report, ABOUT(.fix = errno_fix(error)), "can't find the loopback device: %s",
				    strerror(error));
	}
	for (size_t i = 0; i < request->count; i++)
		if (make_plan(in, list, request->names[i], request->mode, candidates, &plans[i + 1], report))
			return FWD_NOT_DONE;
	if (make_plan(in, list, loopback, MODE_REQUEST_TC, candidates, &plans[0], report))
		return FWD_NOT_DONE;
	if (control_start(in, report) || follow_icmp_ratelimit(in, report))
		return FWD_NOT_DONE;
	return carry_out_all(in, plans, request->count + 1, report);
}

/* A device for which XDP was chosen, and that no other one is left to forward to because they were refused. */
static enum fwd_exit detach_lone_xdp(const struct instance *in, struct fwd_report *report)
{
	struct device_list list;
	struct device *lone = NULL;
	int count = 0;

	devices_read(in, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (list.device[i].entry.mode != FWD_MODE_XDP)
			continue;
		lone = &list.device[i];
		count++;
	}
	if (count != 1 || lone->entry.mode_reason != FWD_MODE_REASON_NATIVE)
		return FWD_DONE;
	lone->entry.mode = FWD_MODE_TC;
	lone->entry.mode_reason = FWD_MODE_REASON_ALONE;
	return xdp_detach(in, lone, report) ? FWD_NOT_DONE : device_write(in, lone, report);
}

static void check_forwarding(const struct rules *rules, const struct attach_request *request, struct fwd_report *report)
{
	bool v6 = false;

	for_each_rule (rule, rules)
		v6 |= rule->state == FWD_RULE_ACTIVE && rule->family == FWD_FAMILY_IPV6;
	for (size_t i = 0; i < request->count; i++)
		if (!iface_check_forwarding(request->names[i], FWD_FAMILY_IPV4, report))
			break;
	for (size_t i = 0; v6 && i < request->count; i++)
		if (!iface_check_forwarding(request->names[i], FWD_FAMILY_IPV6, report))
			break;
}

static void free_plans(struct plan *plans, size_t count)
{
	for (size_t i = 0; plans && i < count; i++) {
		loader_unload(&plans[i].programs);
		if (plans[i].old_ingress_fd >= 0)
			close(plans[i].old_ingress_fd);
		if (plans[i].old_egress_fd >= 0)
			close(plans[i].old_egress_fd);
		if (plans[i].old_xdp_fd >= 0)
			close(plans[i].old_xdp_fd);
	}
	free(plans);
}

/* Whether the programs can look up connections that netfilter translates. Loads what the kernel has for that. */
static bool find_conntrack(struct fwd_report *report)
{
	bool found;

	nf_module_load_conntrack();
	found = conntrack_has_kfuncs();
	if (!found)
		report_progress(
			report, NULL,
			"connections that netfilter translates on this host are not seen: kernel 5.18 or newer, "
			"with BTF and connection tracking, has what is needed");
	return found;
}

static struct plan *alloc_plans(size_t count, bool conntrack)
{
	struct plan *plans = calloc(count, sizeof(*plans));

	for (size_t i = 0; plans && i < count; i++) {
		plans[i].conntrack = conntrack;
		plans[i].old_ingress_fd = plans[i].old_egress_fd = plans[i].old_xdp_fd = -1;
	}
	return plans;
}

static enum fwd_exit plan_and_attach(struct instance *in, const struct rules *rules, struct device_list *list,
				     const struct attach_request *request, struct fwd_report *report)
{
	bool conntrack = find_conntrack(report);
	struct plan *plans = alloc_plans(request->count + 1, conntrack);
	struct fwd_meta before = in->meta;
	struct kfuncs kfuncs = {};
	enum fwd_exit ret;

	if (!plans || (!conntrack && kfuncs_remove(&kfuncs))) {
		free(plans);
		return report_no_memory(report);
	}
	ret = table_resize(in, rules, list, request->connections, request->half_open, report);
	if (!ret)
		ret = attach_all(in, list, request, plans, report);
	if (ret)
		table_restore(in, &before, report);
	free_plans(plans, request->count + 1);
	kfuncs_restore(&kfuncs);
	return ret;
}

/* What follows once all devices are attached. A failure undoes nothing, so it is a note. */
static void complete(const struct instance *in, struct rules *rules, struct fwd_report *report)
{
	struct fwd_error_list errors = error_list_init();

	rules_refresh_sources(rules, &errors.report);
	detach_lone_xdp(in, &errors.report);
	error_list_note(&errors, report);
	error_list_free(&errors);
}

static enum fwd_exit attach_locked(struct instance *in, struct rules *rules, const struct attach_request *request,
				   struct fwd_report *report)
{
	struct device_list list;

	devices_read(in, &list);
	if (claim_netns(in, &list, report) || devices_refresh(in, &list, report) ||
	    plan_and_attach(in, rules, &list, request, report))
		return FWD_NOT_DONE;
	complete(in, rules, report);
	check_forwarding(rules, request, report);
	return FWD_DONE;
}

enum fwd_exit attach_devices(const char *pin_dir, const struct attach_request *request, struct attach_result *result,
			     struct fwd_report *report)
{
	enum fwd_exit ret = check_names(request, report);
	struct rules rules = {};
	struct instance in;

	if (ret)
		return ret;
	ret = instance_open(&in, pin_dir, INSTANCE_CREATE, report);
	if (!ret)
		ret = rules_open(&in, &rules, 0, report);
	if (!ret)
		ret = attach_locked(&in, &rules, request, report);
	if (!ret)
		*result = (struct attach_result){in.meta.connections, in.meta.half_open, maps_memory(&in.maps)};
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

static enum fwd_exit choose(struct device_list *list, const char *const *names, size_t count,
			    struct device_list *chosen, struct fwd_report *report)
{
	chosen->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct device *device = device_find(list, names[i]);

		if (!device || device_is_loopback(device))
			return report_error(report, ABOUT(.object = names[i]), "is not attached");
		/* By any two of its names. */
		if (device_at(chosen, device->ifindex))
			return report_usage(report, ABOUT(.object = names[i]), "is given twice");
		chosen->device[chosen->count++] = *device;
	}
	/* Without other devices the loopback device has nothing to do. */
	if (!count || chosen->count >= devices_shown(list))
		*chosen = *list;
	return FWD_DONE;
}

static enum fwd_exit detach_locked(const struct instance *in, const char *const *names, size_t count,
				   struct fwd_report *report)
{
	struct device_list list, chosen;
	enum fwd_exit ret;
	bool foreign;

	devices_read(in, &list);
	ret = devices_check_netns(in, &list, &foreign, report);
	if (!ret)
		ret = choose(&list, names, count, &chosen, report);
	for (size_t i = 0; !ret && i < chosen.count; i++) {
		ret = device_detach(in, &chosen.device[i], report);
		if (!ret && !device_is_loopback(&chosen.device[i]))
			report_progress(report, ABOUT(.object = chosen.device[i].entry.name), "detached");
	}
	return ret;
}

enum fwd_exit detach_devices(const char *pin_dir, const char *const *names, size_t count, struct fwd_report *report)
{
	struct instance in;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_CHANGE, report);

	if (!ret)
		ret = detach_locked(&in, names, count, report);
	instance_close(&in);
	return ret;
}
