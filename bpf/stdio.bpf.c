/* SPDX-License-Identifier: MIT */
/*
 * What traced processes read and write on descriptors 0, 1 and 2, or on all of
 * them, whichever system call they use for it.
 *
 * One program at the end of a system call: the saved registers still hold the
 * arguments there, so nothing has to be kept between enter and exit. It runs
 * at each system call of each process on the machine, hence the order of its
 * checks: registers first, the traced set last.
 */
#define PAYLOAD_RECORD struct stdio_data
#define PAYLOAD_SOURCE COUNT_STDIO
#define SEND_PART send_stdio_part
#define PAYLOAD_BYTES_PER_CALL config.stdio_bytes_per_call
#include "payload.bpf.h"
#include "socket.bpf.h"
#include "stdio-calls.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#define S_IFCHR 0020000
#define FMODE_WRITE 0x2
/* The master of every Unix 98 terminal, /dev/ptmx: 5:2. */
#define MASTER_DEVICE (5 << 20 | 2)

struct caller {
	struct task_struct *task;
	struct cpu_state *cpu;
	__u32 root;
};

static __always_inline __u64 peer_of_socket(struct file *file)
{
	struct sock *sk = sock_of_file(file);
	struct sock *peer;

	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
		return 0;
	peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	return peer ? socket_inode(peer) : 0;
}

/* Another thread may have closed it since: zeros then. */
static __always_inline void describe_file(struct stdio_data *record, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct tty_file_private *terminal;
	__u32 device;

	if (!inode)
		return;
	record->inode = BPF_CORE_READ(inode, i_ino);
	record->mode = BPF_CORE_READ(inode, i_mode);
	if ((record->mode & S_IFMT) != S_IFCHR) {
		record->device = user_device(BPF_CORE_READ(inode, i_sb, s_dev));
		if ((record->mode & S_IFMT) == S_IFSOCK)
			record->peer = peer_of_socket(file);
		return;
	}
	device = BPF_CORE_READ(inode, i_rdev);
	record->device = user_device(device);
	if (device == MASTER_DEVICE) {
		terminal = BPF_CORE_READ(file, private_data);
		record->peer = BPF_CORE_READ(terminal, tty, index) + 1;
	}
}

static __always_inline bool is_selected_fd(__u64 fd)
{
	if (config.all_fds)
		return true;
	return fd < MAX_SELECTED_FDS && config.fds[fd / 64 & (MAX_SELECTED_FDS / 64 - 1)] >> (fd % 64) & 1;
}

/* All but where the bytes are. */
static __always_inline void begin_transfer(struct transfer *transfer, struct caller *caller, __u32 fd, __u32 direction)
{
	struct stdio_data *record = &transfer->record;

	fill_header(&record->header, RECORD_STDIO_DATA, caller->task, caller->root);
	record->fd = fd;
	record->direction = direction;
	describe_file(record, file_of_fd(caller->task, fd));
}

/* A frame of its own: in that of the program it would be there for the deepest chain of calls, too. */
static __noinline int tell_left_out(struct caller *caller, __u64 fd, __u32 bytes, __u32 direction)
{
	struct transfer transfer = {};

	if (!is_selected_fd(fd))
		return 0;
	begin_transfer(&transfer, caller, fd, direction);
	transfer.record.total = bytes;
	count(caller->cpu, COUNT_STDIO, COUNT_CALLS, 1);
	count(caller->cpu, COUNT_STDIO, COUNT_LEFT_OUT_BYTES, bytes);
	SEND_PART(&transfer, 0);
	return 0;
}

static __always_inline void send_message(struct transfer *transfer, __u64 from, __u32 bytes, struct cpu_state *cpu)
{
	struct {
		__u64 address;
		__u64 count;
	} vector;

	/* Not the whole header: the stack of 512 bytes is for all that call one another. */
	if (bpf_probe_read_user(&vector, sizeof(vector), (const void *)(from + __builtin_offsetof(struct user_msghdr, vector)))) {
		count(cpu, COUNT_STDIO, COUNT_READ_FAULT, 1);
		return;
	}
	transfer->record.total = bytes;
	transfer->buffer = 0;
	transfer->buffer_left = 0;
	transfer->vector = vector.address;
	transfer->vector_left = vector.count;
	send_transfer(transfer, cpu);
}

struct messages {
	struct transfer *transfer;
	__u64 from;
	__u32 count;
};

static long send_next_message(__u32 index, struct messages *messages)
{
	__u64 from = messages->from + index * sizeof(struct user_mmsghdr);
	struct cpu_state *cpu = this_cpu_state();
	__u32 bytes;

	if (index >= messages->count || !cpu)
		return 1;
	if (bpf_probe_read_user(&bytes, sizeof(bytes), (const void *)(from + sizeof(struct user_msghdr))) == 0 && bytes > 0)
		send_message(messages->transfer, from, bytes, cpu);
	return 0;
}

static __always_inline void send_messages(struct caller *caller, struct transfer *transfer, __u64 from, __u32 count_of)
{
	struct messages messages = { transfer, from, count_of };

	bpf_loop(MAX_MESSAGES, send_next_message, &messages, 0);
	if (count_of > MAX_MESSAGES)
		count(caller->cpu, COUNT_STDIO, COUNT_MISSED, count_of - MAX_MESSAGES);
}

static __noinline int send_call(struct caller *caller, struct pt_regs *regs, __u32 kind, __u32 result)
{
	__u64 buffer = SYSCALL_ARGUMENT_1(regs);
	__u64 size = SYSCALL_ARGUMENT_2(regs);
	struct transfer transfer = {};

	begin_transfer(&transfer, caller, SYSCALL_ARGUMENT_0(regs), kind & MOVES_OUT ? IO_WRITE : IO_READ);
	if ((kind & MOVES_SHAPE) == MOVES_MESSAGE) {
		send_message(&transfer, buffer, result, caller->cpu);
		return 0;
	}
	if ((kind & MOVES_SHAPE) == MOVES_MESSAGES) {
		send_messages(caller, &transfer, buffer, result);
		return 0;
	}
	if (kind & BY_MODE) {
		struct file *file = file_of_fd(caller->task, SYSCALL_ARGUMENT_0(regs));

		transfer.record.direction = BPF_CORE_READ(file, f_mode) & FMODE_WRITE ? IO_WRITE : IO_READ;
	}
	transfer.record.total = result;
	if ((kind & MOVES_SHAPE) == MOVES_VECTOR) {
		transfer.vector = buffer;
		transfer.vector_left = size;
	} else {
		transfer.buffer = buffer;
		/* A datagram may be told to be longer than the room for it. */
		transfer.buffer_left = size < result ? size : result;
	}
	send_transfer(&transfer, caller->cpu);
	return 0;
}

static __always_inline bool is_selected_call(struct pt_regs *regs, __u32 kind)
{
	if ((kind & MOVES_SHAPE) == MOVES_WITHIN_KERNEL)
		return is_selected_fd(left_out_write(regs, kind)) || is_selected_fd(left_out_read(regs, kind));
	return is_selected_fd(SYSCALL_ARGUMENT_0(regs)) && !is_peek(regs, kind);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_syscall_exit, struct pt_regs *regs, long result)
{
	__u32 kind = result > 0 ? kind_of_call(syscall_number(regs)) : 0;
	struct traced *entry;
	struct caller caller;
	__u32 tgid;

	if (kind == 0 || !is_selected_call(regs, kind))
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	entry = bpf_map_lookup_elem(&traced, &tgid);
	if (!entry)
		return 0;
	caller.task = bpf_get_current_task_btf();
	caller.cpu = this_cpu_state();
	caller.root = entry->root;
	if (is_compat(caller.task) || !caller.cpu)
		return 0;
	if ((kind & MOVES_SHAPE) != MOVES_WITHIN_KERNEL)
		return send_call(&caller, regs, kind, result);
	if (!(kind & KEEPS_SOURCE))
		tell_left_out(&caller, left_out_read(regs, kind), result, IO_READ);
	tell_left_out(&caller, left_out_write(regs, kind), result, IO_WRITE);
	return 0;
}
