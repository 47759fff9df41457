/* SPDX-License-Identifier: MIT */
/*
 * Which processes become traced roots by themselves: at exec, or when they
 * enter a control group. Of one kind of selector any will do, of several kinds
 * all must fit. Nothing is looked up that nobody asked for.
 */
#ifndef AGENTSIGHT_SELECT_BPF_H
#define AGENTSIGHT_SELECT_BPF_H

#include "cgroup.bpf.h"

struct comm_key {
	char comm[16];
};

/* Names that make an executed program a new traced root. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_COMMS);
	__type(key, struct comm_key);
	__type(value, __u32);
} comms SEC(".maps");

/* Files that do, by their path as the process sees it: a file that is replaced is meant as well. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SELECTORS);
	__type(key, struct exe_selector);
	__type(value, __u32);
} exes SEC(".maps");

/*
 * Texts of a process, too long for the stack. The kernel runs programs of our
 * tracepoints with preemption off; `busy` holds even where it would not.
 */
struct scratch {
	__u32 busy;
	__u32 cwd_start;	/* each text ends at MAX_PATH_BYTES */
	__u32 exe_start;
	__u32 cgroup_start;
	char name[MAX_NAME_BYTES];
	char filename[MAX_PATH_BYTES];
	struct exe_selector exe_key;
	struct path_text cwd;
	struct path_text exe;
	struct path_text cgroup;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* NULL: in use, which is counted. Give it back with release_scratch(). */
static __always_inline struct scratch *take_scratch(struct cpu_state *cpu)
{
	struct scratch *scratch;
	__u32 zero = 0;

	scratch = bpf_map_lookup_elem(&scratches, &zero);
	if (!scratch)
		return NULL;
	if (__sync_val_compare_and_swap(&scratch->busy, 0, 1) == 0)
		return scratch;
	count(cpu, COUNT_PROCESS, COUNT_MISSED, 1);
	return NULL;
}

static __always_inline void release_scratch(struct scratch *scratch)
{
	__sync_lock_test_and_set(&scratch->busy, 0);
}

/* Tells the verifier what the compiler knows and would optimise away. */
static __always_inline __u32 at_most(__u32 value, __u32 limit)
{
	barrier_var(value);
	return value < limit ? value : limit;
}

static __always_inline void read_exe(struct scratch *scratch, struct task_struct *task)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	__u32 truncated;

	scratch->exe_start = MAX_PATH_BYTES;
	if (file)
		scratch->exe_start = read_path(&scratch->exe, task, BPF_CORE_READ(file, f_path.mnt),
					       BPF_CORE_READ(file, f_path.dentry), &truncated);
	/* Half a path would name another file. */
	if (file && truncated)
		scratch->exe_start = MAX_PATH_BYTES;
}

static __always_inline bool is_selected_user(__u32 uid)
{
	int index;

	if (config.uid_count == 0)
		return true;
	for (index = 0; index < MAX_SELECTORS; index++) {
		if ((__u32)index < config.uid_count && config.uids[index] == uid)
			return true;
	}
	return false;
}

static __always_inline bool is_selected_exe(struct scratch *scratch)
{
	__u32 start = scratch->exe_start;
	__u32 len = MAX_PATH_BYTES - start;

	if (start >= MAX_PATH_BYTES || len > MAX_SELECTOR_BYTES)
		return false;
	__builtin_memset(&scratch->exe_key, 0, sizeof(scratch->exe_key));
	bpf_probe_read_kernel(scratch->exe_key.path, at_most(len, MAX_SELECTOR_BYTES),
			      &scratch->exe.bytes[at_most(start, MAX_PATH_BYTES)]);
	return bpf_map_lookup_elem(&exes, &scratch->exe_key);
}

static __always_inline bool is_selected_comm(struct task_struct *task)
{
	struct comm_key key;

	bpf_probe_read_kernel(key.comm, sizeof(key.comm), BPF_CORE_READ(task, group_leader, comm));
	return bpf_map_lookup_elem(&comms, &key);
}

/* The paths of the process are in scratch. Only where something is selected: selects_programs(). */
static __always_inline bool is_selected_process(struct scratch *scratch, struct task_struct *task, __u32 uid)
{
	if (!is_selected_user(uid))
		return false;
	if (config.comm_count > 0 && !is_selected_comm(task))
		return false;
	if (config.exe_count > 0 && !is_selected_exe(scratch))
		return false;
	return config.cgroup_count == 0 || is_selected_cgroup(&scratch->cgroup, scratch->cgroup_start);
}

static __always_inline bool selects_programs(void)
{
	return config.uid_count > 0 || config.comm_count > 0 || config.exe_count > 0 || config.cgroup_count > 0;
}

#endif
