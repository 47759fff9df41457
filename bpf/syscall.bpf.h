/* SPDX-License-Identifier: MIT */
/*
 * System calls at their end: number and arguments from the saved registers,
 * which still hold them there, and the file of a descriptor. Nothing has to be
 * kept between enter and exit. What an argument points to may have been
 * changed meanwhile, by another thread or by the call itself.
 */
#ifndef AGENTSIGHT_SYSCALL_BPF_H
#define AGENTSIGHT_SYSCALL_BPF_H

#include "common.bpf.h"

#define S_IFMT 0170000

#if defined(__TARGET_ARCH_x86)
/* The kernel's mark of a system call in the 32-bit ABI, whose numbers mean others. */
#define TS_COMPAT 0x0002

static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}

static __always_inline __u64 syscall_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

#define SYSCALL_ARGUMENT_0(regs) ((regs)->di)
#define SYSCALL_ARGUMENT_1(regs) ((regs)->si)
#define SYSCALL_ARGUMENT_2(regs) ((regs)->dx)
#define SYSCALL_ARGUMENT_3(regs) ((regs)->r10)
#define SYSCALL_ARGUMENT_4(regs) ((regs)->r8)
#else
#define TIF_32BIT 22

static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.flags >> TIF_32BIT & 1;
}

static __always_inline __u64 syscall_number(struct pt_regs *regs)
{
	return (__u32)regs->syscallno;
}

#define SYSCALL_ARGUMENT_0(regs) ((regs)->orig_x0)
#define SYSCALL_ARGUMENT_1(regs) ((regs)->regs[1])
#define SYSCALL_ARGUMENT_2(regs) ((regs)->regs[2])
#define SYSCALL_ARGUMENT_3(regs) ((regs)->regs[3])
#define SYSCALL_ARGUMENT_4(regs) ((regs)->regs[4])
#endif

/* The current task's open file, or NULL. Another thread may close it at any time. */
static __always_inline struct file *file_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;
	struct file **slots;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	slots = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

/* The encoding that stat(2) shows. */
static __always_inline __u64 user_device(__u32 device)
{
	__u32 major = device >> 20;
	__u32 minor = device & 0xfffff;

	return (minor & 0xff) | major << 8 | (minor & ~0xff) << 12;
}

#endif
