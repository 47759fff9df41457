/* SPDX-License-Identifier: MIT */
/*
 * The control group of a process as a path, and whether it is one that was
 * asked for. Of version 2 where the process is in one below its root; else of
 * the first of three version 1 hierarchies where it is: machines that mount
 * both keep one of them empty.
 */
#ifndef AGENTSIGHT_CGROUP_BPF_H
#define AGENTSIGHT_CGROUP_BPF_H

#include "path.bpf.h"

#define MAX_CGROUP_LEVELS 128

/* Control groups and containers that make a process in them a traced root. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SELECTORS);
	__type(key, __u32);
	__type(value, struct cgroup_selector);
} cgroup_selectors SEC(".maps");

struct cgroup_walk {
	struct path_text *text;
	char *name;
	struct kernfs_node *node;
	__u32 start;
	__u32 reserved;
};

/* Linux 6.15 renamed the member. */
static __always_inline struct kernfs_node *parent_node(struct kernfs_node *node)
{
	struct kernfs_node___renamed *renamed = (void *)node;

	if (bpf_core_field_exists(renamed->__parent))
		return BPF_CORE_READ(renamed, __parent);
	return BPF_CORE_READ(node, parent);
}

static long walk_up_cgroup(__u32 index, struct cgroup_walk *walk)
{
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = parent_node(node);
	__u32 start;
	long len;

	if (!parent)
		return 1;
	len = bpf_probe_read_kernel_str(walk->name, MAX_NAME_BYTES, BPF_CORE_READ(node, name)) - 1;
	if (len < 0 || len >= MAX_NAME_BYTES || walk->start < len + 1)
		return 1;
	start = walk->start - len;
	if (start >= MAX_PATH_BYTES || start == 0)
		return 1;
	bpf_probe_read_kernel(&walk->text->bytes[start], len & (MAX_NAME_BYTES - 1), walk->name);
	start--;
	walk->text->bytes[start & (MAX_PATH_BYTES - 1)] = '/';
	walk->start = start;
	walk->node = parent;
	return 0;
}

static __always_inline struct kernfs_node *version1_node(struct css_set *set, __u32 subsystem)
{
	struct cgroup_subsys_state *state = NULL;

	bpf_core_read(&state, sizeof(state), &set->subsys[subsystem]);
	return BPF_CORE_READ(state, cgroup, kn);
}

static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *root = BPF_CORE_READ(set, dfl_cgrp, kn);
	struct kernfs_node *node = root;

#define TRY_VERSION1(SUBSYSTEM)									\
	if ((!node || !parent_node(node)) && bpf_core_enum_value_exists(enum cgroup_subsys_id, SUBSYSTEM)) \
		node = version1_node(set, bpf_core_enum_value(enum cgroup_subsys_id, SUBSYSTEM));

	TRY_VERSION1(memory_cgrp_id)
	TRY_VERSION1(pids_cgrp_id)
	TRY_VERSION1(cpu_cgrp_id)
	return node ? node : root;
}

/* Returns where in text->bytes the path starts; it ends at MAX_PATH_BYTES. name: room for MAX_NAME_BYTES. */
static __always_inline __u32 read_cgroup(struct path_text *text, char *name, struct task_struct *task)
{
	struct cgroup_walk walk = {
		.text = text,
		.name = name,
		.node = cgroup_node(task),
		.start = MAX_PATH_BYTES,
	};

	bpf_loop(MAX_CGROUP_LEVELS, walk_up_cgroup, &walk, 0);
	if (walk.start == MAX_PATH_BYTES) {
		walk.start--;
		text->bytes[MAX_PATH_BYTES - 1] = '/';
	}
	return walk.start;
}

/* Whether a cgroup's path has the text of a selector at one place of it. */
struct cgroup_match {
	struct path_text *text;
	struct cgroup_selector *selector;
	__u32 at;
	__u32 is_equal;
};

static __always_inline char byte_at(struct cgroup_match *match, __u32 at)
{
	return at < MAX_PATH_BYTES ? match->text->bytes[at & (MAX_PATH_BYTES - 1)] : 0;
}

static long compare_byte(__u32 index, struct cgroup_match *match)
{
	if (index >= match->selector->len || index >= MAX_SELECTOR_BYTES) {
		match->is_equal = 1;
		return 1;
	}
	return byte_at(match, match->at + index) != match->selector->text[index & (MAX_SELECTOR_BYTES - 1)];
}

/* A container's id stands after a slash, a dash or a colon: /docker/ID, crio-ID.scope. */
static long find_container(__u32 index, struct cgroup_match *match)
{
	char before = byte_at(match, match->at);

	match->at++;
	if (match->at >= MAX_PATH_BYTES)
		return 1;
	if (before != '/' && before != '-' && before != ':')
		return 0;
	bpf_loop(MAX_SELECTOR_BYTES + 1, compare_byte, match, 0);
	return match->is_equal != 0;
}

struct cgroup_search {
	struct path_text *text;
	__u32 start;
	__u32 found;
};

static long try_selector(__u32 index, struct cgroup_search *search)
{
	struct cgroup_match match = { .text = search->text, .at = search->start };
	char after;

	match.selector = bpf_map_lookup_elem(&cgroup_selectors, &index);
	if (!match.selector)
		return 1;
	if (match.selector->is_container) {
		bpf_loop(MAX_PATH_BYTES, find_container, &match, 0);
		search->found = match.is_equal;
		return match.is_equal != 0;
	}
	bpf_loop(MAX_SELECTOR_BYTES + 1, compare_byte, &match, 0);
	/* The group itself or one below it, not one whose name only begins so. */
	after = byte_at(&match, search->start + match.selector->len);
	if (!match.is_equal || (after != 0 && after != '/'))
		return 0;
	search->found = 1;
	return 1;
}

static __always_inline bool is_selected_cgroup(struct path_text *text, __u32 start)
{
	struct cgroup_search search = { .text = text, .start = start };

	bpf_loop(config.cgroup_count, try_selector, &search, 0);
	return search.found;
}

#endif
