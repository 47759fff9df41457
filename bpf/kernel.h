/* SPDX-License-Identifier: MIT */
/*
 * The few kernel types that our programs read, declared by hand: names and
 * members are the kernel's, everything that we do not read is left out. CO-RE
 * finds the real offsets in the running kernel's BTF at load time, so that no
 * generated vmlinux.h is needed and the objects do not depend on one.
 */
#ifndef AGENTSIGHT_KERNEL_H
#define AGENTSIGHT_KERNEL_H

/* bpf_tracing.h then names registers as the kernel does. */
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* Userspace ABI, from include/uapi/linux/bpf.h. */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_AVAIL_DATA = 0,
};

struct bpf_dynptr {
	__u64 opaque[2];
} __attribute__((aligned(8)));

#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

typedef struct {
	int counter;
} atomic_t;

/* Registers: only the members that an argument, a result or a number is in. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15;
	unsigned long r14;
	unsigned long r13;
	unsigned long r12;
	unsigned long bp;
	unsigned long bx;
	unsigned long r11;
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long ip;
	unsigned long cs;
	unsigned long flags;
	unsigned long sp;
	unsigned long ss;
};

struct thread_info {
	__u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
};

struct thread_info {
	unsigned long flags;
};
#else
#error "compile with -D__TARGET_ARCH_x86 or -D__TARGET_ARCH_arm64"
#endif

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_rdev;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

typedef struct {
	__s64 counter;
} atomic64_t;

/* Linux 6.13 and later: references but one. */
typedef struct {
	atomic64_t refcnt;
} file_ref_t;

struct file {
	/* Before Linux 6.13. */
	atomic64_t f_count;
	file_ref_t f_ref;
	struct inode *f_inode;
	struct path f_path;
	unsigned int f_mode;
	void *private_data;
};

struct vm_area_struct {
	struct file *vm_file;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct socket {
	short type;
	struct sock *sk;
};

/* A socket and its inode are one allocation. */
struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	int sk_err;
	__u16 sk_type;
	__u16 sk_protocol;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct sockaddr_un {
	unsigned short sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;	/* of the name, its family included */
	struct sockaddr_un name[];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct tty_struct {
	int index;
};

struct tty_file_private {
	struct tty_struct *tty;
};

struct kernel_siginfo {
	int si_code;
};

struct percpu_counter {
	__s64 count;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long hiwater_rss;
	unsigned long arg_start;
	unsigned long arg_end;
	/* Linux 6.2 and later; before, a struct of another shape had this name. */
	struct percpu_counter rss_stat[4];
};

/* Members only with CONFIG_TASK_XACCT. */
struct task_io_accounting {
	__u64 rchar;
	__u64 wchar;
};

struct signal_struct {
	struct task_io_accounting ioac;
	atomic_t live;
	struct list_head thread_head;
	int group_exit_code;
	unsigned int flags;
	__u64 utime;
	__u64 stime;
	unsigned long long sum_sched_runtime;
	unsigned long maxrss;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
};

struct kernfs_node___renamed {
	struct kernfs_node *__parent;
};

enum cgroup_subsys_id { cpu_cgrp_id, memory_cgrp_id, pids_cgrp_id };

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

typedef struct {
	__u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	struct css_set *cgroups;
	const struct cred *cred;
	struct task_io_accounting ioac;
	struct thread_info thread_info;
	struct sched_entity se;
	struct mm_struct *mm;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct list_head thread_node;
	__u64 utime;
	__u64 stime;
	__u64 start_boottime;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
};

struct linux_binprm {
	const char *filename;
};

struct iovec {
	void *iov_base;
	__u64 iov_len;
};

#pragma clang attribute pop

#endif
