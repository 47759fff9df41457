/* SPDX-License-Identifier: MIT */
/*
 * Watches traced threads use stream sockets, so that TLS connections learn
 * their endpoints: bpf/binding.bpf.h says by what rule.
 *
 * The socket tracepoints need Linux 6.3. Before, the ends of the system calls
 * tell the same; io_uring's operations they do not see. The addon loads one or
 * the other.
 */
#include "calls.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#define SOCK_STREAM 1

#if defined(__TARGET_ARCH_x86)
enum {
	SYSCALL_READ = 0, SYSCALL_WRITE = 1, SYSCALL_READV = 19, SYSCALL_WRITEV = 20,
	SYSCALL_SENDTO = 44, SYSCALL_RECVFROM = 45, SYSCALL_SENDMSG = 46, SYSCALL_RECVMSG = 47,
};
#else
enum {
	SYSCALL_READ = 63, SYSCALL_WRITE = 64, SYSCALL_READV = 65, SYSCALL_WRITEV = 66,
	SYSCALL_SENDTO = 206, SYSCALL_RECVFROM = 207, SYSCALL_SENDMSG = 211, SYSCALL_RECVMSG = 212,
};
#endif

/*
 * Binds the connection of each call that the thread is in. A frame below the
 * stack pointer is none: its function was left without a return.
 */
static __always_inline bool bind_calls(struct cpu_state *cpu, struct traced *entry, struct thread_calls *thread,
				       struct sock *sk)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 sp = PT_REGS_SP_CORE(regs);
	__u64 socket = socket_inode(sk);
	__u32 depth = thread->depth;
	__u64 bound = 0;
	bool is_in_call = false;
	int index;

	for (index = 0; index < MAX_DEPTH; index++) {
		struct call *call = &thread->calls[index];
		struct connection *connection;
		struct place place;

		if ((__u32)index >= depth || call->sp <= sp)
			break;
		is_in_call = true;
		/* The exported function and the internal one below it are on one connection. */
		if (call->connection == bound)
			continue;
		bound = call->connection;
		connection = connection_of(cpu, entry, bound);
		if (!connection || (connection->socket == socket && connection->evidence == EVIDENCE_PROVEN))
			continue;
		read_place(sk, &place);
		bind_connection(entry, connection, &place, EVIDENCE_PROVEN);
	}
	return is_in_call;
}

static __always_inline void on_receive(struct thread_calls *thread, struct sock *sk)
{
	if (thread->received.endpoint.socket != socket_inode(sk) || thread->received.sock != (__u64)sk)
		read_place(sk, &thread->received);
	thread->has_received = 1;
}

static __always_inline void on_send(struct traced *entry, struct thread_calls *thread, struct sock *sk, long bytes)
{
	struct connection *connection;
	__u64 pointer = thread->unbound;
	struct place place;

	if (pointer == 0)
		return;
	thread->unbound = 0;
	/* Ciphertext is longer than its plaintext: this is not it. */
	if (bytes <= (long)thread->unbound_bytes)
		return;
	connection = known_connection(entry, pointer);
	if (!connection || connection->socket != 0)
		return;
	read_place(sk, &place);
	bind_connection(entry, connection, &place, EVIDENCE_INFERRED);
}

/* bytes passed a socket of the current thread. */
static __always_inline int on_bytes(struct sock *sk, long bytes, __u32 direction)
{
	struct thread_calls *thread;
	struct cpu_state *cpu;
	struct traced *entry;
	__u16 family;
	bool is_tcp;

	if (bytes <= 0 || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	is_tcp = family == AF_INET || family == AF_INET6;
	if (!is_tcp && family != AF_UNIX)
		return 0;
	entry = traced_entry();
	if (!entry)
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	thread = is_tcp && direction == IO_READ ? thread_calls(cpu) : known_thread_calls();
	if (!thread)
		return 0;
	if (thread->depth > 0 && bind_calls(cpu, entry, thread, sk))
		return 0;
	/* Event loops wake themselves through unix sockets: outside of a call they say nothing. */
	if (!is_tcp)
		return 0;
	if (direction == IO_READ)
		on_receive(thread, sk);
	else
		on_send(entry, thread, sk, bytes);
	return 0;
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(on_sock_send, struct sock *sk, int result, int flags)
{
	return on_bytes(sk, result, IO_WRITE);
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(on_sock_receive, struct sock *sk, int result, int flags)
{
	return on_bytes(sk, result, IO_READ);
}

static __always_inline int direction_of(__u64 number)
{
	switch (number) {
	case SYSCALL_READ:
	case SYSCALL_READV:
	case SYSCALL_RECVFROM:
	case SYSCALL_RECVMSG:
		return IO_READ;
	case SYSCALL_WRITE:
	case SYSCALL_WRITEV:
	case SYSCALL_SENDTO:
	case SYSCALL_SENDMSG:
		return IO_WRITE;
	default:
		return -1;
	}
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(on_socket_syscall, struct pt_regs *regs, long result)
{
	struct task_struct *task;
	struct sock *sk;
	int direction;

	if (result <= 0)
		return 0;
	direction = direction_of(syscall_number(regs));
	if (direction < 0 || !traced_entry())
		return 0;
	task = bpf_get_current_task_btf();
	if (is_compat(task))
		return 0;
	sk = sock_of_fd(task, SYSCALL_ARGUMENT_0(regs));
	return sk ? on_bytes(sk, result, direction) : 0;
}
