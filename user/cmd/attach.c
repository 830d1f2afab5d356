/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "state/conns.h"
#include "state/devices.h"
#include "cli/command.h"
#include "attach/tc.h"
#include "host/iface.h"
#include "state/instance.h"
#include "state/loader.h"
#include "attach/mode.h"
#include "cli/output.h"
#include "state/rules.h"
#include "attach/xdp.h"

#define TABLE_MIN 16
#define TABLE_MAX (16 * 1024 * 1024)

/* What is to be done with one device, and how to undo it. */
struct plan {
	struct device device;  /* as it is to be */
	struct fwd_device old; /* as it was; of a new one mode and why only */
	bool known;            /* it is attached, and keeps its place */
	struct fwd_programs programs;
	int old_ingress_fd; /* what is there now; -1: nothing */
	int old_egress_fd;
	int old_xdp_fd;
};

/* Leaves *size as it is if text is NULL. */
static enum fwd_exit parse_size(const char *option, const char *text, __u32 *size)
{
	unsigned long value;
	char *end;

	if (!text)
		return FWD_DONE;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || value < TABLE_MIN || value > TABLE_MAX)
		return fwd_usage("%s: \"%s\": it is a number from %d to %d", option, text, TABLE_MIN, TABLE_MAX);
	*size = value;
	return FWD_DONE;
}

static enum fwd_exit count_one(const struct conn *conn, void *arg)
{
	++*(__u64 *)arg;
	return FWD_DONE;
}

/* Makes the connection table as large as asked for; 0: as it is. */
static enum fwd_exit fit_table(struct instance *in, const struct rules *rules, const struct device_list *list,
			       __u32 connections, __u32 half_open)
{
	bool whole = instance_sizes_match(in);
	__u64 live = 0;

	if (!connections)
		connections = in->meta.connections;
	if (!half_open)
		half_open = in->meta.half_open;
	if (whole && connections == in->meta.connections && half_open == in->meta.half_open)
		return FWD_DONE;
	if (list->count)
		return fwd_err("the table has room for %u connections and %u half-open ones: fwdctl "
			       "detach first",
			       in->meta.connections, in->meta.half_open);
	if (whole && conns_each(in, rules, count_one, &live))
		return FWD_NOT_DONE;
	if (live)
		return fwd_err("the table has room for %u connections and %u half-open ones, and %llu "
			       "live in it: fwdctl conn flush first",
			       in->meta.connections, in->meta.half_open, live);
	if (instance_resize(in, connections, half_open))
		return FWD_NOT_DONE;
	return rules_forget_connections(in, rules);
}

/* Nothing was attached, so there is nothing in the table that it could lose: back to the size that it had. */
static void unfit_table(struct instance *in, const struct fwd_meta *before)
{
	struct device_list list;

	if ((in->meta.connections != before->connections || in->meta.half_open != before->half_open) &&
	    !devices_read(in, &list) && !list.count)
		instance_resize(in, before->connections, before->half_open);
}

/* From here on the instance is this network namespace's. */
static enum fwd_exit claim_netns(struct instance *in, struct device_list *list)
{
	bool foreign;

	if (devices_check_netns(in, list, &foreign))
		return FWD_NOT_DONE;
	for (size_t i = 0; foreign && i < list->count; i++)
		if (device_detach(in, &list->device[i]))
			return FWD_NOT_DONE;
	if (foreign)
		list->count = 0;
	instance_this_netns(&in->meta.netns_dev, &in->meta.netns_ino);
	if (map_write_one(&in->maps, FWD_MAP_META, &in->meta))
		return fwd_err("can't note the network namespace");
	return FWD_DONE;
}

static enum fwd_exit choose_place(const struct device_list *list, struct device *device)
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
	return fwd_err("\"%s\": %d devices are attached already, which is the most", device->entry.name,
		       FWD_DEVICES_MAX - 1);
}

/* Fills the plan, and notes a new device in the list, so that the next one gets another place. */
static enum fwd_exit make_plan(const struct instance *in, struct device_list *list, const char *name,
			       enum mode_wish wish, int candidates, struct plan *plan)
{
	struct device *device = device_find(list, name);
	enum fwd_link link = FWD_LINK_ETHERNET; /* lo's frames have a header, too */

	if (if_nametoindex(name) != FWD_LOOPBACK && iface_link(name, &link))
		return FWD_NOT_DONE;
	plan->known = device;
	if (device) {
		plan->device = *device;
	} else {
		char real[IF_NAMESIZE];

		plan->device.ifindex = if_nametoindex(name);
		device_set_name(&plan->device, if_indextoname(plan->device.ifindex, real) ?: name);
		if (choose_place(list, &plan->device))
			return FWD_NOT_DONE;
		list->device[list->count++] = plan->device;
	}
	plan->device.entry.link = link;
	plan->old = plan->device.entry;
	if (mode_choose(&plan->device, plan->known, wish, candidates) ||
	    loader_load(&in->maps, &in->meta, &plan->device.entry, &plan->programs))
		return FWD_NOT_DONE;
	if (plan->known)
		device_programs(in, &plan->device, &plan->old_ingress_fd, &plan->old_egress_fd);
	if (plan->known && plan->old.mode != FWD_MODE_TC)
		plan->old_xdp_fd = xdp_program(in, &plan->device);
	return FWD_DONE;
}

/* XDP refused: what it means to who left the choice to us, and to who didn't. */
static enum fwd_exit refused(struct plan *plan, int error)
{
	struct fwd_device *entry = &plan->device.entry;
	const char *says = loader_kernel_says(), *mode = device_mode_name(&plan->device);
	bool foreign = error == -EEXIST;

	if (error == -EOPNOTSUPP && !*says)
		says = "its driver doesn't take frames that XDP sends";
	if (foreign)
		says = "another XDP program is there, and the kernel has no room for a second one: take it off";
	else if (!*says)
		says = strerror(-error);
	if (entry->mode_reason == FWD_MODE_REASON_ASKED)
		return fwd_err("\"%s\": can't attach at %s: %s; or use --mode tc", entry->name, mode, says);
	fwd_note("%s: goes by tc alone, for XDP is refused: %s", entry->name, says);
	entry->mode = FWD_MODE_TC;
	entry->mode_reason = foreign ? FWD_MODE_REASON_FOREIGN : FWD_MODE_REASON_REFUSED;
	return FWD_DONE;
}

/* Behind tc, which takes whatever XDP leaves. The entry says what is there at the end. */
static enum fwd_exit carry_out_xdp(const struct instance *in, struct plan *plan)
{
	struct device *device = &plan->device;
	bool chosen = device->entry.mode_reason == FWD_MODE_REASON_NATIVE, open = false;
	struct fwd_xdp *xdp;
	__u8 mac[ETH_ALEN];
	int error;

	if (device->entry.mode == FWD_MODE_TC)
		return xdp_detach(in, device) ? FWD_NOT_DONE : device_write(in, device);
	if (!iface_mac(device->entry.name, mac))
		return fwd_err("\"%s\": no such device", device->entry.name);
	xdp = loader_open_xdp(&in->maps, &in->meta, &device->entry, device->ifindex, mac);
	if (!xdp)
		return FWD_NOT_DONE;
	error = xdp_attach(in, device, xdp, &open);
	loader_close_xdp(xdp);
	if (!error && chosen && !open)
		error = -EOPNOTSUPP;
	if (error && (refused(plan, error) || xdp_detach(in, device)))
		return FWD_NOT_DONE;
	if (!error && !open && device->entry.mode == FWD_MODE_XDP)
		fwd_note("%s: what leaves by it goes by tc, for its driver doesn't take frames from XDP%s",
			 device->entry.name,
			 mode_is_veth(device->entry.name)
				 ? " now: its other end needs GRO, or an XDP program; then attach again"
				 : "");
	return device_write(in, device);
}

static enum fwd_exit carry_out(const struct instance *in, struct plan *plan)
{
	struct device *device = &plan->device;
	bool alive = plan->old_ingress_fd >= 0 && plan->old_egress_fd >= 0;

	/* There is one lo for all instances of this network namespace: it is the first one's. */
	if (device_is_loopback(device) && !alive && hook_is_taken(in, device))
		return FWD_DONE;

	/* An attach or a detach that was cut short may have left one of the two. */
	if (plan->known && !alive && device_detach(in, device))
		return FWD_NOT_DONE;
	if (!alive)
		device->entry.hook = hook_choose(plan->programs.ingress_fd);
	if (!plan->known && map_set_sum(&in->maps, FWD_MAP_DEVICE_STATS, device->entry.index,
					sizeof(struct fwd_device_stats) / sizeof(__u64), NULL))
		return fwd_err("\"%s\": can't reset its counters", device->entry.name);
	if (device_write(in, device) || device_attach(in, device, plan->programs.ingress_fd, plan->programs.egress_fd))
		return FWD_NOT_DONE;
	if (carry_out_xdp(in, plan))
		return FWD_NOT_DONE;
	if (!device_is_loopback(device))
		fwd_say("%s: %s at tc by %s, %s; %s: %s", device->entry.name, alive ? "replaced" : "attached",
			device->entry.hook == FWD_HOOK_TCX ? "TCX" : "clsact",
			device->entry.link == FWD_LINK_ETHERNET ? "Ethernet" : "no link header",
			device_mode_name(device), device_mode_reason(device));
	return FWD_DONE;
}

static void undo(const struct instance *in, const struct plan *plan)
{
	struct device before = plan->device;

	if (plan->known)
		before.entry = plan->old;
	xdp_put_back(in, &before, plan->old_xdp_fd);
	if (plan->known)
		device_write(in, &before);
	if (plan->old_ingress_fd >= 0 && plan->old_egress_fd >= 0)
		device_attach(in, &plan->device, plan->old_ingress_fd, plan->old_egress_fd);
	else
		device_detach(in, &plan->device);
}

/* Lets the newest fwd_control do the work from here on. */
static enum fwd_exit start_control_fd(struct instance *in, int control_fd)
{
	struct fwd_config config;
	int ret;

	if (map_read_one(&in->maps, FWD_MAP_CONFIG, &config))
		return fwd_err("can't read the settings");
	config.csum_ipv6 = !control_run(control_fd, FWD_REQUEST_PROBE_CSUM_IPV6, NULL);
	if (map_write_one(&in->maps, FWD_MAP_CONFIG, &config))
		return fwd_err("can't write the settings");
	ret = instance_pin(in, control_fd, FWD_DIR_PROGS, "fwd_control");
	if (ret)
		return fwd_err("can't pin fwd_control: %s", strerror(-ret));
	ret = control_run(control_fd, FWD_REQUEST_START_GC, NULL);
	return ret ? fwd_err("can't start the sweeper of connections: %s", strerror(-ret)) : FWD_DONE;
}

static enum fwd_exit start_control(struct instance *in)
{
	enum fwd_exit ret;
	int control_fd;

	if (loader_load_control(&in->maps, &in->meta, &control_fd))
		return FWD_NOT_DONE;
	ret = start_control_fd(in, control_fd);
	close(control_fd);
	return ret;
}

/* Those that are named, and lo: first, so that nothing that comes in by the others is missed there. */
static enum fwd_exit attach_all(struct instance *in, struct device_list *list, const struct args *args,
				enum mode_wish wish, struct plan *plans)
{
	char loopback[IF_NAMESIZE];
	int count = args->count + 1, candidates = mode_candidates(list, args);

	if (!if_indextoname(FWD_LOOPBACK, loopback))
		return fwd_err("there is no loopback device: %m");
	for (int i = 0; i < count; i++)
		if (make_plan(in, list, i ? args->word[i - 1] : loopback, i ? wish : WISH_TC, candidates, &plans[i]))
			return FWD_NOT_DONE;
	if (start_control(in))
		return FWD_NOT_DONE;
	for (int i = 0; i < count; i++) {
		if (!carry_out(in, &plans[i]))
			continue;
		for (; i >= 0; i--)
			undo(in, &plans[i]);
		return FWD_NOT_DONE;
	}
	return FWD_DONE;
}

/* One that XDP was chosen for, and that now has nobody to send to: the others refused. */
static enum fwd_exit let_go_of_lone_xdp(const struct instance *in)
{
	struct device_list list;
	struct device *lone = NULL;
	int count = 0;

	if (devices_read(in, &list))
		return FWD_NOT_DONE;
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
	return xdp_detach(in, lone) ? FWD_NOT_DONE : device_write(in, lone);
}

static void check_forwarding(const struct rules *rules, const struct args *args)
{
	bool v6 = false;

	for_each_rule (rule, rules)
		v6 |= rule->state == FWD_RULE_ACTIVE && rule->family == FWD_FAMILY_IPV6;
	for (int i = 0; i < args->count; i++)
		if (!iface_check_forwarding(args->word[i], FWD_FAMILY_IPV4))
			break;
	for (int i = 0; v6 && i < args->count; i++)
		if (!iface_check_forwarding(args->word[i], FWD_FAMILY_IPV6))
			break;
}

static enum fwd_exit check_words(const struct args *args)
{
	/* One place is lo's. */
	if (args->count > FWD_DEVICES_MAX - 1)
		return fwd_err("%d devices are the most", FWD_DEVICES_MAX - 1);
	/* A device has alternative names, too. */
	for (int i = 0; i < args->count; i++) {
		__u32 ifindex = if_nametoindex(args->word[i]);

		for (int j = 0; j < i; j++)
			if (!strcmp(args->word[i], args->word[j]) ||
			    (ifindex && ifindex == if_nametoindex(args->word[j])))
				return fwd_usage("\"%s\" is given twice", args->word[i]);
	}
	for (int i = 0; i < args->count; i++) {
		enum fwd_link link;

		if (iface_link(args->word[i], &link))
			return FWD_NOT_DONE;
	}
	return FWD_DONE;
}

static void free_plans(struct plan *plans, int count)
{
	for (int i = 0; plans && i < count; i++) {
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

static struct plan *alloc_plans(int count)
{
	struct plan *plans = calloc(count, sizeof(*plans));

	for (int i = 0; plans && i < count; i++)
		plans[i].old_ingress_fd = plans[i].old_egress_fd = plans[i].old_xdp_fd = -1;
	if (!plans)
		fwd_err("not enough memory");
	return plans;
}

/* For who chooses sizes. */
static void say_memory(const struct instance *in)
{
	char text[HUMAN_TEXT];

	printf("room for %u connections and %u half-open ones: %s\n", in->meta.connections, in->meta.half_open,
	       human_bytes(maps_memory(&in->maps), text));
}

enum fwd_exit cmd_attach(const struct args *args)
{
	__u32 connections = 0, half_open = 0;
	struct rules rules = {};
	struct plan *plans = NULL;
	struct device_list list;
	struct fwd_meta before;
	struct instance in;
	enum fwd_exit ret;
	enum mode_wish wish;

	ret = mode_parse(args->option[OPT_MODE], &wish);
	if (!ret)
		ret = parse_size("--connections", args->option[OPT_CONNECTIONS], &connections);
	if (!ret)
		ret = parse_size("--half-open", args->option[OPT_HALF_OPEN], &half_open);
	if (!ret)
		ret = check_words(args);
	if (ret)
		return ret;
	ret = FWD_NOT_DONE;
	if (instance_open(&in, args->pin_dir, INSTANCE_MAKE))
		goto out;
	before = in.meta;
	plans = alloc_plans(args->count + 1);
	if (!plans || rules_open(&in, &rules, 0) || devices_read(&in, &list) || claim_netns(&in, &list) ||
	    devices_refresh(&in, &list))
		goto out;
	if (fit_table(&in, &rules, &list, connections, half_open) || attach_all(&in, &list, args, wish, plans)) {
		unfit_table(&in, &before);
		goto out;
	}
	if (rules_refresh_sources(&rules) || let_go_of_lone_xdp(&in))
		goto out;
	check_forwarding(&rules, args);
	if (connections || half_open)
		say_memory(&in);
	ret = FWD_DONE;
out:
	free_plans(plans, args->count + 1);
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

enum fwd_exit cmd_detach(const struct args *args)
{
	struct device_list list, chosen = {};
	enum fwd_exit ret = FWD_NOT_DONE;
	struct instance in;
	bool foreign;

	if (instance_open(&in, args->pin_dir, INSTANCE_CHANGE) || devices_read(&in, &list) ||
	    devices_check_netns(&in, &list, &foreign))
		goto out;
	for (int i = 0; i < args->count; i++) {
		struct device *device = device_find(&list, args->word[i]);

		if (!device || device_is_loopback(device)) {
			fwd_err("\"%s\": is not attached", args->word[i]);
			goto out;
		}
		/* By whichever of its names, an old one too. */
		if (device_at(&chosen, device->ifindex)) {
			ret = fwd_usage("\"%s\" is given twice", args->word[i]);
			goto out;
		}
		chosen.device[chosen.count++] = *device;
	}
	/* Without the others lo has nothing to do. */
	if (!args->count || chosen.count >= devices_named(&list))
		chosen = list;
	for (size_t i = 0; i < chosen.count; i++) {
		if (device_detach(&in, &chosen.device[i]))
			goto out;
		if (!device_is_loopback(&chosen.device[i]))
			fwd_say("%s: detached", chosen.device[i].entry.name);
	}
	ret = FWD_DONE;
out:
	instance_close(&in);
	return ret;
}
