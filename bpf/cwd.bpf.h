/* SPDX-License-Identifier: MIT */
/*
 * The working directory of a process as a path. bpf_d_path() is refused to
 * programs of our kind, so we walk dentries and mounts ourselves.
 */
#ifndef AGENTSIGHT_CWD_BPF_H
#define AGENTSIGHT_CWD_BPF_H

#include "common.bpf.h"

#define MAX_PATH_COMPONENTS 256
#define MAX_NAME_BYTES 256

/*
 * Texts of an exec, too long for the stack. The kernel runs programs of this
 * tracepoint with preemption off; `busy` holds even where it would not.
 */
struct exec_scratch {
	__u32 busy;
	__u32 reserved;
	char filename[MAX_PATH_BYTES];
	/*
	 * The first half is filled from its end. The second is never written: the
	 * verifier knows start and length, not that they add up to the half.
	 */
	char cwd[2 * MAX_PATH_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_scratch);
} exec_scratches SEC(".maps");

/* A way from a directory up to the process's root, written from the end of a buffer. */
struct path_walk {
	struct exec_scratch *scratch;
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root_dentry;
	struct mount *root_mount;
	__u32 start;	/* first byte used of scratch->cwd */
	__u32 complete;
};

static __always_inline struct mount *mount_of(struct vfsmount *inner)
{
	return (struct mount *)((void *)inner - bpf_core_field_offset(struct mount, mnt));
}

static long walk_up(__u32 index, struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct exec_scratch *scratch = walk->scratch;
	struct mount *mount = walk->mount;
	const unsigned char *name;
	struct mount *parent;
	__u32 len, start;

	if (dentry == walk->root_dentry && mount == walk->root_mount) {
		walk->complete = 1;
		return 1;
	}
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		parent = BPF_CORE_READ(mount, mnt_parent);
		if (parent == mount) {
			/* The root of the mount namespace, from outside of a chroot. */
			walk->complete = 1;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = parent;
		return 0;
	}
	len = BPF_CORE_READ(dentry, d_name.len);
	name = BPF_CORE_READ(dentry, d_name.name);
	if (len >= MAX_NAME_BYTES || walk->start < len + 1)
		return 1;
	start = walk->start - len;
	if (start >= MAX_PATH_BYTES || start == 0)
		return 1;
	bpf_probe_read_kernel(&scratch->cwd[start], len & (MAX_NAME_BYTES - 1), name);
	start--;
	scratch->cwd[start & (MAX_PATH_BYTES - 1)] = '/';
	walk->start = start;
	walk->dentry = BPF_CORE_READ(dentry, d_parent);
	return 0;
}

/* Returns where in scratch->cwd the working directory starts; it ends at MAX_PATH_BYTES. */
static __always_inline __u32 read_cwd(struct exec_scratch *scratch, struct task_struct *task, __u32 *truncated)
{
	struct path_walk walk = {
		.scratch = scratch,
		.dentry = task->fs->pwd.dentry,
		.mount = mount_of(task->fs->pwd.mnt),
		.root_dentry = task->fs->root.dentry,
		.root_mount = mount_of(task->fs->root.mnt),
		.start = MAX_PATH_BYTES,
	};

	bpf_loop(MAX_PATH_COMPONENTS, walk_up, &walk, 0);
	if (walk.start == MAX_PATH_BYTES && walk.complete) {
		walk.start--;
		scratch->cwd[MAX_PATH_BYTES - 1] = '/';
	}
	*truncated = !walk.complete;
	return walk.start;
}

#endif
