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
#define PAYLOAD_BYTES_PER_CALL config.stdio_bytes_per_call
#include "payload.bpf.h"
#include "syscall.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#if defined(__TARGET_ARCH_x86)
enum { SYSCALL_READ = 0, SYSCALL_WRITE = 1, SYSCALL_READV = 19, SYSCALL_WRITEV = 20 };
#else
enum { SYSCALL_READ = 63, SYSCALL_WRITE = 64, SYSCALL_READV = 65, SYSCALL_WRITEV = 66 };
#endif

/* Another thread may have closed it since: zeros then. */
static __always_inline void describe_file(struct stdio_data *record, struct task_struct *task)
{
	struct file *file = file_of_fd(task, record->fd);
	struct inode *inode;

	record->inode = 0;
	record->device = 0;
	record->mode = 0;
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode)
		return;
	record->inode = BPF_CORE_READ(inode, i_ino);
	record->mode = BPF_CORE_READ(inode, i_mode);
	if ((record->mode & S_IFMT) == 0020000)
		record->device = user_device(BPF_CORE_READ(inode, i_rdev));
	else
		record->device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
}

static __always_inline bool is_selected_fd(__u64 fd)
{
	if (config.all_fds)
		return true;
	return fd < MAX_SELECTED_FDS && config.fds[fd / 64 & (MAX_SELECTED_FDS / 64 - 1)] >> (fd % 64) & 1;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs *regs, long result)
{
	__u64 number = syscall_number(regs);
	__u64 fd = SYSCALL_ARGUMENT_0(regs);
	__u64 buffer = SYSCALL_ARGUMENT_1(regs);
	struct transfer transfer = {};
	struct task_struct *task;
	struct traced *entry;
	struct cpu_state *cpu;
	bool is_vector;
	__u32 tgid;

	is_vector = number == SYSCALL_READV || number == SYSCALL_WRITEV;
	if (!is_vector && number != SYSCALL_READ && number != SYSCALL_WRITE)
		return 0;
	if (result <= 0 || !is_selected_fd(fd))
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
	transfer.record.fd = fd;
	describe_file(&transfer.record, task);
	transfer.record.total = result;
	transfer.record.direction = number == SYSCALL_WRITE || number == SYSCALL_WRITEV
		? IO_WRITE : IO_READ;
	transfer.buffer = is_vector ? 0 : buffer;
	transfer.buffer_left = is_vector ? 0 : result;
	transfer.vector = is_vector ? buffer : 0;
	transfer.vector_left = is_vector ? SYSCALL_ARGUMENT_2(regs) : 0;
	send_transfer(&transfer, cpu);
	return 0;
}
