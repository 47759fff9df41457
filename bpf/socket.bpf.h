/* SPDX-License-Identifier: MIT */
/*
 * Sockets: from a descriptor to the kernel's socket, and both its ends.
 * Everything is read by probe_read, so that any pointer will do: an argument
 * of a tracepoint, or one found by a walk from the current task.
 */
#ifndef AGENTSIGHT_SOCKET_BPF_H
#define AGENTSIGHT_SOCKET_BPF_H

#include "syscall.bpf.h"
#include <bpf/bpf_endian.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

#define S_IFSOCK 0140000

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_CLOSE 7
#define TCP_LISTEN 10

/* NULL when the file is no socket. */
static __always_inline struct sock *sock_of_file(struct file *file)
{
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline struct sock *sock_of_fd(struct task_struct *task, __u32 fd)
{
	return sock_of_file(file_of_fd(task, fd));
}

/* What socket:[123] shows; 0 while nobody holds the socket by a descriptor. */
static __always_inline __u64 socket_inode(struct sock *sk)
{
	struct socket *socket = BPF_CORE_READ(sk, sk_socket);
	struct socket_alloc *both;

	if (!socket)
		return 0;
	both = (void *)socket - bpf_core_field_offset(struct socket_alloc, socket);
	return BPF_CORE_READ(both, vfs_inode.i_ino);
}

static __always_inline bool is_v4_mapped(const struct in6_addr *address)
{
	return address->in6_u.u6_addr32[0] == 0 && address->in6_u.u6_addr32[1] == 0 &&
	       address->in6_u.u6_addr32[2] == bpf_htonl(0xffff);
}

/* All of *endpoint is written, whatever the socket is. */
static __always_inline void read_endpoint(struct sock *sk, struct endpoint *endpoint)
{
	struct in6_addr local, remote;

	__builtin_memset(endpoint, 0, sizeof(*endpoint));
	if (!sk)
		return;
	endpoint->socket = socket_inode(sk);
	endpoint->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (endpoint->family != AF_INET && endpoint->family != AF_INET6) {
		if (endpoint->family != AF_UNIX)
			endpoint->family = 0;
		return;
	}
	endpoint->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	endpoint->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (endpoint->family == AF_INET) {
		BPF_CORE_READ_INTO((__be32 *)endpoint->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((__be32 *)endpoint->remote, sk, __sk_common.skc_daddr);
		return;
	}
	BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&remote, sk, __sk_common.skc_v6_daddr);
	if (is_v4_mapped(&local) || is_v4_mapped(&remote)) {
		endpoint->family = AF_INET;
		__builtin_memcpy(endpoint->local, &local.in6_u.u6_addr8[12], 4);
		__builtin_memcpy(endpoint->remote, &remote.in6_u.u6_addr8[12], 4);
		return;
	}
	__builtin_memcpy(endpoint->local, &local, sizeof(local));
	__builtin_memcpy(endpoint->remote, &remote, sizeof(remote));
}

#endif
