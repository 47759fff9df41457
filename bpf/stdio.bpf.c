/* SPDX-License-Identifier: MIT */
/*
 * What traced processes read and write with read, write, readv and writev on
 * descriptors 0, 1 and 2, or on all of them.
 *
 * One program at the end of a system call: the saved registers still hold the
 * arguments there, so nothing has to be kept between enter and exit. It runs
 * at each system call of each process on the machine, hence the order of its
 * checks: registers first, the traced set last.
 */
#define PAYLOAD_RECORD struct stdio_data
#define PAYLOAD_SOURCE COUNT_STDIO
#include "payload.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct syscall {
	__u64 number;
	__u64 fd;
	__u64 buffer;
	__u64 vector_count;
};

#if defined(__TARGET_ARCH_x86)
enum { SYSCALL_READ = 0, SYSCALL_WRITE = 1, SYSCALL_READV = 19, SYSCALL_WRITEV = 20 };

/* The kernel's mark of a system call in the 32-bit ABI, whose numbers mean others. */
#define TS_COMPAT 0x0002

static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}

static __always_inline struct syscall read_syscall(struct pt_regs *regs)
{
	return (struct syscall){ regs->orig_ax, regs->di, regs->si, regs->dx };
}
#else
enum { SYSCALL_READ = 63, SYSCALL_WRITE = 64, SYSCALL_READV = 65, SYSCALL_WRITEV = 66 };

#define TIF_32BIT 22

static __always_inline bool is_compat(struct task_struct *task)
{
	return task->thread_info.flags >> TIF_32BIT & 1;
}

static __always_inline struct syscall read_syscall(struct pt_regs *regs)
{
	return (struct syscall){ (__u32)regs->syscallno, regs->orig_x0, regs->regs[1], regs->regs[2] };
}
#endif

/* The encoding that stat(2) shows. */
static __always_inline __u64 user_device(__u32 device)
{
	__u32 major = device >> 20;
	__u32 minor = device & 0xfffff;

	return (minor & 0xff) | major << 8 | (minor & ~0xff) << 12;
}

/* Another thread may have closed it since: zeros then. */
static __always_inline void describe_file(struct stdio_data *record, struct task_struct *task)
{
	struct fdtable *table = task->files->fdt;
	struct file *file = NULL;
	struct inode *inode;
	struct file **slots;

	record->inode = 0;
	record->device = 0;
	record->mode = 0;
	if ((__u32)record->fd >= table->max_fds)
		return;
	slots = table->fd;
	bpf_probe_read_kernel(&file, sizeof(file), slots + (__u32)record->fd);
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode)
		return;
	record->inode = BPF_CORE_READ(inode, i_ino);
	record->mode = BPF_CORE_READ(inode, i_mode);
	if ((record->mode & 0170000) == 0020000)
		record->device = user_device(BPF_CORE_READ(inode, i_rdev));
	else
		record->device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs *regs, long result)
{
	struct syscall call = read_syscall(regs);
	struct transfer transfer = {};
	struct task_struct *task;
	struct traced *entry;
	struct cpu_state *cpu;
	bool is_vector;
	__u32 tgid;

	is_vector = call.number == SYSCALL_READV || call.number == SYSCALL_WRITEV;
	if (!is_vector && call.number != SYSCALL_READ && call.number != SYSCALL_WRITE)
		return 0;
	if (result <= 0 || (call.fd > 2 && !config.all_fds))
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	entry = bpf_map_lookup_elem(&traced, &tgid);
	if (!entry)
		return 0;
	task = bpf_get_current_task_btf();
	cpu = this_cpu_state();
	if (is_compat(task) || !cpu)
		return 0;

	fill_header(&transfer.record.header, RECORD_STDIO_DATA, task, entry->root);
	transfer.record.fd = call.fd;
	describe_file(&transfer.record, task);
	transfer.record.total = result;
	transfer.record.direction = call.number == SYSCALL_WRITE || call.number == SYSCALL_WRITEV
		? IO_WRITE : IO_READ;
	transfer.buffer = is_vector ? 0 : call.buffer;
	transfer.buffer_left = is_vector ? 0 : result;
	transfer.vector = is_vector ? call.buffer : 0;
	transfer.vector_left = is_vector ? call.vector_count : 0;
	send_transfer(&transfer, cpu);
	return 0;
}
