/* SPDX-License-Identifier: MIT */
/*
 * The sockets of traced processes: their beginnings and ends, the bytes that
 * pass them, and of plain HTTP, DNS and TLS greetings the bytes themselves.
 *
 * As with stdio, one program at the end of a system call does nearly all. It
 * runs at each system call of each process on the machine, hence the order of
 * its checks: the number first, the traced set next, sockets last.
 */
#define PAYLOAD_RECORD struct net_data
#define PAYLOAD_SOURCE COUNT_NET
#define SEND_PART send_net_part
#include "movement.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#if defined(__TARGET_ARCH_x86)
enum {
	SYSCALL_READ = 0, SYSCALL_WRITE = 1, SYSCALL_CLOSE = 3, SYSCALL_READV = 19, SYSCALL_WRITEV = 20,
	SYSCALL_SENDFILE = 40, SYSCALL_SOCKET = 41, SYSCALL_CONNECT = 42, SYSCALL_ACCEPT = 43, SYSCALL_SENDTO = 44,
	SYSCALL_RECVFROM = 45, SYSCALL_SENDMSG = 46, SYSCALL_RECVMSG = 47, SYSCALL_BIND = 49, SYSCALL_LISTEN = 50,
	SYSCALL_SETSOCKOPT = 54,
	SYSCALL_ACCEPT4 = 288, SYSCALL_RECVMMSG = 299, SYSCALL_SENDMMSG = 307,
};
#else
enum {
	SYSCALL_READ = 63, SYSCALL_WRITE = 64, SYSCALL_CLOSE = 57, SYSCALL_READV = 65, SYSCALL_WRITEV = 66,
	SYSCALL_SENDFILE = 71, SYSCALL_SOCKET = 198, SYSCALL_CONNECT = 203, SYSCALL_ACCEPT = 202, SYSCALL_SENDTO = 206,
	SYSCALL_RECVFROM = 207, SYSCALL_SENDMSG = 211, SYSCALL_RECVMSG = 212, SYSCALL_BIND = 200, SYSCALL_LISTEN = 201,
	SYSCALL_SETSOCKOPT = 208,
	SYSCALL_ACCEPT4 = 242, SYSCALL_RECVMMSG = 243, SYSCALL_SENDMMSG = 269,
};
#endif

#define EINPROGRESS 115
#define EALREADY 114
#define EISCONN 106
#define EINTR 4
#define ECANCELED 125

#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000

#define SOL_TCP 6
#define TCP_ULP 31
#define ULP_TLS 0x736c74	/* "tls" */
#define ULP_TLS_LEN 3

static __always_inline void move_by_call(struct caller *caller, struct socket_state *state, struct pt_regs *regs,
					 __u64 number, long result)
{
	bool is_read = number == SYSCALL_READ || number == SYSCALL_READV || number == SYSCALL_RECVFROM ||
		       number == SYSCALL_RECVMSG || number == SYSCALL_RECVMMSG;
	__u64 buffer = SYSCALL_ARGUMENT_1(regs);
	struct movement movement = { .bytes = result, .direction = is_read ? IO_READ : IO_WRITE };
	struct messages messages;
	__u64 flags = 0;

	if (number == SYSCALL_RECVFROM || number == SYSCALL_RECVMMSG)
		flags = SYSCALL_ARGUMENT_3(regs);
	else if (number == SYSCALL_RECVMSG)
		flags = SYSCALL_ARGUMENT_2(regs);
	if (flags & (MSG_PEEK | MSG_ERRQUEUE))
		return;
	if (number == SYSCALL_SENDMSG || number == SYSCALL_RECVMSG) {
		move_message(caller, state, buffer, result, movement.direction);
		return;
	}
	if (number == SYSCALL_SENDMMSG || number == SYSCALL_RECVMMSG) {
		messages = (struct messages){ caller, state, buffer, result, movement.direction };
		bpf_loop(MAX_MESSAGES, move_next_message, &messages, 0);
		return;
	}
	if (number == SYSCALL_READV || number == SYSCALL_WRITEV) {
		movement.vector = buffer;
		movement.vector_count = SYSCALL_ARGUMENT_2(regs);
	} else if (number != SYSCALL_SENDFILE) {
		movement.buffer = buffer;
	}
	if (number == SYSCALL_SENDTO || number == SYSCALL_RECVFROM)
		movement.address = SYSCALL_ARGUMENT_4(regs);
	move(caller, state, &movement);
}

static __always_inline void tell(struct caller *caller, struct socket_state *state, struct unix_names *names, __u32 event)
{
	struct record_header header;

	fill_header(&header, RECORD_NET_SOCKET, caller->task, caller->root);
	names->sk = (struct unix_sock *)state->sk;
	if (state->error == 0)
		state->is_known = 1;
	send_socket(&header, state, names, event);
	state->error = 0;
}

static __always_inline void connected(struct caller *caller, struct socket_state *state, struct pt_regs *regs, long result)
{
	__u64 address = SYSCALL_ARGUMENT_1(regs);
	struct unix_names names = {};
	__u16 family = 0;

	if (result == -EALREADY || result == -EISCONN)
		return;
	bpf_probe_read_user(&family, sizeof(family), (const void *)address);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return;	/* AF_UNSPEC ends an association */
	read_endpoint((struct sock *)state->sk, &state->endpoint);
	if (state->protocol == NET_UNIX && result < 0) {
		names.remote = address;
		names.address_len = SYSCALL_ARGUMENT_2(regs);
	} else if (result < 0 && result != -EINPROGRESS) {
		read_address(address, &state->endpoint.family, &state->endpoint.remote_port, state->endpoint.remote);
	}
	if ((result == -EINPROGRESS || result == -EINTR) && state->protocol == NET_TCP) {
		fill_header(&state->owner, RECORD_NET_SOCKET, caller->task, caller->root);
		if (__sync_val_compare_and_swap(&state->phase, CONNECT_CALLED, CONNECT_PENDING) == CONNECT_CALLED)
			return;
		/* Settled meanwhile, as on loopback. */
	} else {
		state->error = result < 0 ? -result : 0;
		if (state->phase == CONNECT_NONE)
			state->began_ns = bpf_ktime_get_boot_ns();
	}
	state->phase = CONNECT_NONE;
	tell(caller, state, &names, NET_CONNECT);
	state->settled_ns = 0;
}

static __always_inline void bound(struct caller *caller, struct socket_state *state, struct pt_regs *regs, long result)
{
	__u64 address = SYSCALL_ARGUMENT_1(regs);
	struct unix_names names = {};

	read_endpoint((struct sock *)state->sk, &state->endpoint);
	state->error = result < 0 ? -result : 0;
	if (result < 0 && state->protocol == NET_UNIX) {
		names.local = address;
		names.address_len = SYSCALL_ARGUMENT_2(regs);
	} else if (result < 0) {
		read_address(address, &state->endpoint.family, &state->endpoint.local_port, state->endpoint.local);
	}
	tell(caller, state, &names, NET_BIND);
}

static __always_inline void encrypted(struct caller *caller, struct socket_state *state, long result)
{
	struct unix_names names = {};

	read_endpoint((struct sock *)state->sk, &state->endpoint);
	state->error = result < 0 ? -result : 0;
	tell(caller, state, &names, NET_KTLS);
}

static __always_inline void begun(struct caller *caller, struct socket_state *state, __u32 event)
{
	struct unix_names names = {};

	read_endpoint((struct sock *)state->sk, &state->endpoint);
	tell(caller, state, &names, event);
}

static __always_inline void closed(struct caller *caller, __s32 fd)
{
	struct record_header header;
	struct socket_state *state;
	__u64 key = descriptor_key(caller->task->tgid, fd);
	__u64 *known = bpf_map_lookup_elem(&socket_descriptors, &key);
	__u64 inode;

	if (!known)
		return;
	inode = *known;
	bpf_map_delete_elem(&socket_descriptors, &key);
	state = bpf_map_lookup_elem(&sockets, &inode);
	if (!state || !(is_closed(state, inode) || has_no_reference((struct file *)state->file)))
		return;
	fill_header(&header, RECORD_NET_SOCKET, caller->task, caller->root);
	state->fd = fd;
	end_socket(&header, state, inode);
}

/* setsockopt(fd, SOL_TCP, TCP_ULP, "tls"): the kernel is to encrypt what passes the socket. */
static __always_inline bool asks_for_ktls(struct pt_regs *regs)
{
	__u32 name = 0;

	if ((__u32)SYSCALL_ARGUMENT_1(regs) != SOL_TCP || (__u32)SYSCALL_ARGUMENT_2(regs) != TCP_ULP)
		return false;
	return bpf_probe_read_user(&name, ULP_TLS_LEN, (const void *)SYSCALL_ARGUMENT_3(regs)) == 0 && name == ULP_TLS;
}

static __always_inline bool moves_bytes(__u64 number)
{
	return number == SYSCALL_READ || number == SYSCALL_WRITE || number == SYSCALL_READV || number == SYSCALL_WRITEV ||
	       number == SYSCALL_SENDFILE || number == SYSCALL_SENDTO || number == SYSCALL_RECVFROM ||
	       number == SYSCALL_SENDMSG || number == SYSCALL_RECVMSG || number == SYSCALL_RECVMMSG ||
	       number == SYSCALL_SENDMMSG;
}

static __always_inline bool makes_or_ends(__u64 number)
{
	return number == SYSCALL_CLOSE || number == SYSCALL_SOCKET || number == SYSCALL_CONNECT || number == SYSCALL_ACCEPT ||
	       number == SYSCALL_ACCEPT4 || number == SYSCALL_BIND || number == SYSCALL_LISTEN ||
	       number == SYSCALL_SETSOCKOPT;
}

static __noinline int make_or_end(struct caller *caller, struct pt_regs *regs, __u64 number, long result)
{
	bool is_new = number == SYSCALL_SOCKET || number == SYSCALL_ACCEPT || number == SYSCALL_ACCEPT4;
	struct socket_state *state;

	if (number == SYSCALL_CLOSE) {
		closed(caller, SYSCALL_ARGUMENT_0(regs));
		return 0;
	}
	if ((is_new && result < 0) || (number == SYSCALL_SETSOCKOPT && !asks_for_ktls(regs)))
		return 0;
	state = socket_of_fd(caller->task, is_new ? result : (__s32)SYSCALL_ARGUMENT_0(regs), caller->root, !is_new);
	if (!state)
		return 0;
	if (number == SYSCALL_CONNECT)
		connected(caller, state, regs, result);
	else if (number == SYSCALL_BIND)
		bound(caller, state, regs, result);
	else if (number == SYSCALL_SETSOCKOPT)
		encrypted(caller, state, result);
	else if (number != SYSCALL_SOCKET && result >= 0)
		begun(caller, state, number == SYSCALL_LISTEN ? NET_LISTEN : NET_ACCEPT);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_socket_call, struct pt_regs *regs, long result)
{
	__u64 number = syscall_number(regs);
	struct socket_state *state;
	struct caller caller;
	struct traced *entry;
	bool moves = moves_bytes(number);
	__u32 tgid;

	if (moves ? result <= 0 : !makes_or_ends(number))
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	entry = bpf_map_lookup_elem(&traced, &tgid);
	if (!entry)
		return 0;
	caller.task = bpf_get_current_task_btf();
	caller.root = entry->root;
	if (is_compat(caller.task))
		return 0;
	if (!moves)
		return make_or_end(&caller, regs, number, result);
	state = socket_of_fd(caller.task, SYSCALL_ARGUMENT_0(regs), caller.root, true);
	if (!state)
		return 0;
	move_by_call(&caller, state, regs, number, result);
	return tell_prefix(&caller, state);
}

/*
 * Outcome of a TCP connect, in the system call or in an interrupt of whatever
 * runs then: whose it is was kept when it was called.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int before, int after)
{
	struct unix_names names = {};
	struct socket_state *state;
	__u64 inode;

	if (before != TCP_SYN_SENT && after != TCP_SYN_SENT)
		return 0;
	inode = socket_inode(sk);
	state = bpf_map_lookup_elem(&sockets, &inode);
	if (!state)
		return 0;
	if (after == TCP_SYN_SENT) {
		state->began_ns = bpf_ktime_get_boot_ns();
		state->settled_ns = 0;
		state->phase = CONNECT_CALLED;
		return 0;
	}
	state->settled_ns = bpf_ktime_get_boot_ns();
	state->error = after == TCP_ESTABLISHED ? 0 : BPF_CORE_READ(sk, sk_err) ?: ECANCELED;
	if (__sync_val_compare_and_swap(&state->phase, CONNECT_CALLED, CONNECT_SETTLED) != CONNECT_PENDING)
		return 0;
	state->phase = CONNECT_NONE;
	if (state->error == 0) {
		state->is_known = 1;
		read_endpoint(sk, &state->endpoint);
	}
	send_socket(&state->owner, state, &names, NET_CONNECT);
	state->error = 0;
	state->settled_ns = 0;
	return 0;
}

struct exit_walk {
	struct caller caller;
	struct record_header header;
};

/* 1 ends the loop. */
static long end_if_last(__u32 fd, struct exit_walk *walk)
{
	struct task_struct *task = walk->caller.task;
	struct socket_state *state;
	struct inode *inode;
	struct file *file;
	__u64 number;

	if (fd >= BPF_CORE_READ(task, files, fdt, max_fds))
		return 1;
	file = file_of_fd(task, fd);
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK || !has_one_reference(file))
		return 0;
	number = BPF_CORE_READ(inode, i_ino);
	state = bpf_map_lookup_elem(&sockets, &number);
	if (!state)
		return 0;
	state->fd = fd;
	end_socket(&walk->header, state, number);
	return 0;
}

/* Runs before on_exit() of process.bpf.c: the process is in the traced set still, and its files are open. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_socket_owner_exit, struct task_struct *task)
{
	struct exit_walk walk = {};
	struct traced *entry;
	__u32 tgid = task->tgid;

	if (task->signal->live.counter != 0)
		return 0;
	entry = bpf_map_lookup_elem(&traced, &tgid);
	if (!entry)
		return 0;
	walk.caller.task = bpf_get_current_task_btf();
	walk.caller.root = entry->root;
	fill_header(&walk.header, RECORD_NET_SOCKET, walk.caller.task, walk.caller.root);
	bpf_loop(MAX_FDS_AT_EXIT, end_if_last, &walk, 0);
	return 0;
}

static long end_if_closed(void *map, __u64 *inode, struct socket_state *state, void *context)
{
	if (is_closed(state, *inode))
		end_socket(&state->owner, state, *inode);
	return 0;
}

/* Run by user space: sockets that ended without a close(2) that we could tie to them. */
SEC("raw_tp")
int sweep_sockets(void *context)
{
	bpf_for_each_map_elem(&sockets, end_if_closed, NULL, 0);
	return 0;
}
