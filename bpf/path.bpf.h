/* SPDX-License-Identifier: MIT */
/*
 * The path of an open directory or file as its process sees it: from its own
 * root. bpf_d_path() is refused to programs of our kind, so we walk dentries
 * and mounts ourselves. What the walk ends in is the real place: links and
 * ".." have been resolved by the kernel already.
 */
#ifndef AGENTSIGHT_PATH_BPF_H
#define AGENTSIGHT_PATH_BPF_H

#include "common.bpf.h"

#define MAX_PATH_COMPONENTS 256
#define MAX_NAME_BYTES 256

/*
 * Filled from the end of its first half. The second is never written: the
 * verifier knows start and length, not that they add up to the half.
 */
struct path_text {
	char bytes[2 * MAX_PATH_BYTES];
};

/* A way from a file or directory up to the process's root. */
struct path_walk {
	struct path_text *text;
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root_dentry;
	struct mount *root_mount;
	__u32 start;	/* first byte used of text */
	__u32 complete;
};

static __always_inline struct mount *mount_of(struct vfsmount *inner)
{
	return (struct mount *)((void *)inner - bpf_core_field_offset(struct mount, mnt));
}

static long walk_up(__u32 index, struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct path_text *text = walk->text;
	struct mount *mount = walk->mount;
	const unsigned char *name;
	struct dentry *parent_dentry;
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
	bpf_probe_read_kernel(&text->bytes[start], len & (MAX_NAME_BYTES - 1), name);
	start--;
	text->bytes[start & (MAX_PATH_BYTES - 1)] = '/';
	walk->start = start;
	parent_dentry = BPF_CORE_READ(dentry, d_parent);
	if (parent_dentry == dentry) {
		/* In no folder: memory of memfd_create, a file that was only ever open. */
		walk->complete = 1;
		return 1;
	}
	walk->dentry = parent_dentry;
	return 0;
}

/*
 * Returns where in text->bytes the path starts; it ends at MAX_PATH_BYTES.
 * truncated: it has lost its beginning.
 */
static __always_inline __u32 read_path(struct path_text *text, struct task_struct *task, struct vfsmount *mnt,
				       struct dentry *dentry, __u32 *truncated)
{
	struct path_walk walk = {
		.text = text,
		.dentry = dentry,
		.mount = mount_of(mnt),
		.root_dentry = BPF_CORE_READ(task, fs, root.dentry),
		.root_mount = mount_of(BPF_CORE_READ(task, fs, root.mnt)),
		.start = MAX_PATH_BYTES,
	};

	bpf_loop(MAX_PATH_COMPONENTS, walk_up, &walk, 0);
	if (walk.start == MAX_PATH_BYTES && walk.complete) {
		walk.start--;
		text->bytes[MAX_PATH_BYTES - 1] = '/';
	}
	*truncated = !walk.complete;
	return walk.start;
}

/* The working directory; as read_path(). */
static __always_inline __u32 read_cwd(struct path_text *text, struct task_struct *task, __u32 *truncated)
{
	return read_path(text, task, BPF_CORE_READ(task, fs, pwd.mnt), BPF_CORE_READ(task, fs, pwd.dentry), truncated);
}

#endif
