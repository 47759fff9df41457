/* SPDX-License-Identifier: MIT */
/*
 * Notes which sockets of TCP are reset, by whom, and in which state they were:
 * what one side had ended before is whole all the same. All of it is rare.
 *
 * A socket without a descriptor is passed over: its end has been told.
 */
#include "resets.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

#define EEXIST 17

static __always_inline bool is_connected(int state)
{
	return state != TCP_SYN_SENT && state != TCP_LISTEN && state != TCP_CLOSE;
}

static __always_inline void note(__u64 inode, __u8 by, __u8 state)
{
	struct reset reset = { .by = by, .state = state };
	struct cpu_state *cpu;
	/* Before Linux 6.4 the upper half of what this call returns is not the sign's. */
	int result = bpf_map_update_elem(&resets, &inode, &reset, BPF_NOEXIST);

	if (result == 0 || result == -EEXIST)
		return;
	cpu = this_cpu_state();
	if (cpu)
		count(cpu, COUNT_NET, COUNT_MAP_FULL, 1);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(on_reset_received, struct sock *sk)
{
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	__u64 inode = socket_inode(sk);

	if (inode && is_connected(state))
		note(inode, RESET_RECEIVED, state);
	return 0;
}

/* A socket that is closed by a reset leaves its state before that is sent. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_reset_state, struct sock *sk, int before, int after)
{
	__u64 inode;

	if (after != TCP_SYN_SENT && !(after == TCP_CLOSE && is_connected(before)))
		return 0;
	inode = socket_inode(sk);
	if (!inode)
		return 0;
	if (after == TCP_CLOSE)
		note(inode, RESET_NONE, before);
	else
		bpf_map_delete_elem(&resets, &inode);	/* connected anew */
	return 0;
}

/* Where the kernel has no socket to name, sk is NULL. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(on_reset_sent, struct sock *sk)
{
	struct reset *known;
	__u64 inode;
	__u8 state;

	if (!sk)
		return 0;
	inode = socket_inode(sk);
	if (!inode)
		return 0;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	known = bpf_map_lookup_elem(&resets, &inode);
	if (!known && is_connected(state))
		note(inode, RESET_SENT, state);
	else if (known && known->by == RESET_NONE)
		known->by = RESET_SENT;
	return 0;
}
