/* SPDX-License-Identifier: MIT */
/*
 * The sockets of traced processes: one entry from the first sight of a socket
 * to its end, and the records that tell of it. Sockets are known by their
 * inode number, which every descriptor of every process shares.
 */
#ifndef AGENTSIGHT_SOCKETS_BPF_H
#define AGENTSIGHT_SOCKETS_BPF_H

#include "resets.bpf.h"
#include "content.bpf.h"

#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define DNS_PORT 53

/* A connect that is in progress ends in its system call, or later in an interrupt. */
enum connect_phase {
	CONNECT_NONE = 0,
	CONNECT_CALLED = 1,	/* within the system call, no outcome yet */
	CONNECT_SETTLED = 2,	/* the outcome is known, the system call has not returned */
	CONNECT_PENDING = 3,	/* the system call returned before the outcome */
};

struct socket_state {
	struct record_header owner;	/* of the process that used it first */
	struct endpoint endpoint;
	__u64 connection;
	__u64 sk;
	__u64 file;
	__u64 began_ns;
	__u64 settled_ns;
	__u64 carried[2];	/* bytes, by enum io_direction */
	__u64 prefix[2];	/* first bytes of each direction */
	__u32 prefix_len[2];
	__u32 hello_left;	/* bytes of the ClientHello that have not been seen */
	__u32 hello_direction;
	__s32 fd;		/* that the process `user` used last */
	__u32 user;
	__u32 phase;		/* enum connect_phase */
	__u32 error;
	__u32 has_ended;
	__u8 content;
	__u8 protocol;
	__u8 existing;
	__u8 is_known;		/* an event told of it: its end is told, too */
	__u8 is_tunnel;		/* HTTP CONNECT: TLS may follow */
	__u8 is_stream;
	__u8 told;		/* directions whose prefix was noted, or never is */
	__u8 is_untold;		/* a noted prefix waits to be sent */
};

/* Names of a unix socket: from the kernel, or of a failed call from its argument. */
struct unix_names {
	struct unix_sock *sk;
	__u64 local;		/* sockaddr_un in the program's memory, or 0 */
	__u64 remote;
	__u32 address_len;
	__u32 reserved;
};

/* Entries are allocated as they come, as in file-io.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SOCKETS);
	__type(key, __u64);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* process << 32 | descriptor -> inode number: what a close(2) closed is gone when we see it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_SOCKET_DESCRIPTORS);
	__type(key, __u64);
	__type(value, __u64);
} socket_descriptors SEC(".maps");

/* Too big for the stack. */
static const struct socket_state new_state = {};

static __always_inline __u64 descriptor_key(__u32 tgid, __s32 fd)
{
	return (__u64)tgid << 32 | (__u32)fd;
}

static __always_inline __u8 protocol_of(struct sock *sk, __u16 family)
{
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	if (family == AF_UNIX)
		return NET_UNIX;
	if (protocol == IPPROTO_TCP)
		return NET_TCP;
	return protocol == IPPROTO_UDP ? NET_UDP : NET_OTHER;
}

static __noinline struct socket_state *add_socket(struct file *file, __u64 inode, __u32 root, bool existing)
{
	struct cpu_state *cpu = this_cpu_state();
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct socket_state *state;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (!cpu || !sk || (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
		return NULL;
	if (bpf_map_update_elem(&sockets, &inode, &new_state, BPF_ANY)) {
		count(cpu, COUNT_NET, COUNT_MAP_FULL, 1);
		return NULL;
	}
	state = bpf_map_lookup_elem(&sockets, &inode);
	if (!state)
		return NULL;
	fill_header(&state->owner, RECORD_NET_SOCKET, bpf_get_current_task_btf(), root);
	read_endpoint(sk, &state->endpoint);
	state->connection = next_connection(cpu);
	state->sk = (__u64)sk;
	state->file = (__u64)file;
	state->began_ns = state->owner.time_ns;
	state->existing = existing;
	state->protocol = protocol_of(sk, family);
	state->is_stream = BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
	state->fd = -1;
	return state;
}

/* The socket of the current task's descriptor, or NULL when it is none that we follow. */
static __always_inline struct socket_state *socket_of_fd(struct task_struct *task, __s32 fd, __u32 root, bool existing)
{
	struct file *file = file_of_fd(task, fd);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct socket_state *state;
	__u32 tgid = task->tgid;
	__u64 number, key;

	if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	number = BPF_CORE_READ(inode, i_ino);
	state = bpf_map_lookup_elem(&sockets, &number);
	if (!state) {
		state = add_socket(file, number, root, existing);
		if (!state)
			return NULL;
	}
	if (state->fd != fd || state->user != tgid) {
		key = descriptor_key(tgid, fd);
		bpf_map_update_elem(&socket_descriptors, &key, &number, BPF_ANY);
		state->fd = fd;
		state->user = tgid;
	}
	return state;
}

static __always_inline __u16 copy_kernel_name(char *to, struct unix_sock *sk)
{
	struct unix_address *address = BPF_CORE_READ(sk, addr);
	__u32 len = BPF_CORE_READ(address, len);

	/* sun_family comes first. */
	len = address && len > 2 ? len - 2 : 0;
	if (len > MAX_UNIX_NAME)
		len = MAX_UNIX_NAME;
	barrier_var(len);
	if (len > MAX_UNIX_NAME || bpf_probe_read_kernel(to, len, (void *)address->name + 2))
		return 0;
	return len;
}

static __always_inline __u16 copy_user_name(char *to, __u64 address, __u32 len)
{
	len = len > 2 ? len - 2 : 0;
	if (len > MAX_UNIX_NAME)
		len = MAX_UNIX_NAME;
	barrier_var(len);
	if (len > MAX_UNIX_NAME || bpf_probe_read_user(to, len, (const void *)(address + 2)))
		return 0;
	return len;
}

struct unix_record {
	struct net_socket socket;
	char names[2][MAX_UNIX_NAME];
};

static __always_inline void fill_record(struct net_socket *record, struct cpu_state *cpu, struct record_header *header,
					struct socket_state *state, __u8 event)
{
	struct reset reset;

	record->header = *header;
	record->header.kind = RECORD_NET_SOCKET;
	record->header.flags = 0;
	record->header.time_ns = bpf_ktime_get_boot_ns();
	record->header.sequence = next_number(&cpu->records);
	record->connection = state->connection;
	record->read_bytes = state->carried[IO_READ];
	record->written_bytes = state->carried[IO_WRITE];
	record->duration_ns = 0;
	reset = event == NET_CLOSE ? reset_of(state->endpoint.socket) : (struct reset){};
	record->reset = reset.by;
	record->reset_state = reset.state;
	if (event == NET_CLOSE)
		record->duration_ns = record->header.time_ns - state->began_ns;
	else if (event == NET_CONNECT)
		record->duration_ns = (state->settled_ns ? state->settled_ns : record->header.time_ns) - state->began_ns;
	record->endpoint = state->endpoint;
	record->fd = state->fd;
	record->error = state->error;
	record->event = event;
	record->protocol = state->protocol;
	record->content = state->content;
	record->existing = state->existing;
	record->local_len = 0;
	record->remote_len = 0;
	__builtin_memcpy(record->prefix, state->prefix, sizeof(record->prefix));
	record->prefix_len[IO_READ] = state->prefix_len[IO_READ];
	record->prefix_len[IO_WRITE] = state->prefix_len[IO_WRITE];
	__builtin_memset(record->reserved, 0, sizeof(record->reserved));
}

static __always_inline void name_unix(struct unix_record *record, struct unix_names *names)
{
	struct unix_sock *sk = names->sk;
	struct unix_sock *peer;

	__builtin_memset(record->names, 0, sizeof(record->names));
	if (names->local)
		record->socket.local_len = copy_user_name(record->names[0], names->local, names->address_len);
	else
		record->socket.local_len = copy_kernel_name(record->names[0], sk);
	peer = (struct unix_sock *)BPF_CORE_READ(sk, peer);
	if (names->remote)
		record->socket.remote_len = copy_user_name(record->names[1], names->remote, names->address_len);
	else if (peer)
		record->socket.remote_len = copy_kernel_name(record->names[1], peer);
}

/* header says who did it; error and times are in *state. */
static __noinline int send_socket(struct record_header *header, struct socket_state *state, struct unix_names *names, __u32 event)
{
	struct cpu_state *cpu = this_cpu_state();
	struct unix_record *with_names;
	struct net_socket *record;

	if (!cpu || !header || !state || !names)
		return 0;
	if (!is_selected_port(state->endpoint.local_port, state->endpoint.remote_port))
		return 0;
	if (state->protocol == NET_UNIX) {
		with_names = bpf_ringbuf_reserve(&ring, sizeof(*with_names), 0);
		if (!with_names)
			goto refused;
		fill_record(&with_names->socket, cpu, header, state, event);
		with_names->socket.header.size = sizeof(*with_names);
		name_unix(with_names, names);
		bpf_ringbuf_submit(with_names, 0);
	} else {
		record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
		if (!record)
			goto refused;
		fill_record(record, cpu, header, state, event);
		record->header.size = sizeof(*record);
		bpf_ringbuf_submit(record, 0);
	}
	count(cpu, COUNT_NET, COUNT_DELIVERED, 1);
	return 0;
refused:
	/* Its number stays unused: a gap is a loss. */
	next_number(&cpu->records);
	count(cpu, COUNT_NET, COUNT_RING_FULL, 1);
	return 0;
}

/*
 * The last descriptor has gone. Safe for two who notice it at once. Pairs, and
 * unix sockets from before the trace, have no name that anything could be told
 * of: like pipes, they are no matter of the network.
 */
static __noinline int end_socket(struct record_header *header, struct socket_state *state, __u64 inode)
{
	struct unix_names names = {};

	if (!state || __sync_val_compare_and_swap(&state->has_ended, 0, 1) != 0)
		return 0;
	state->error = 0;
	if (state->is_known ||
	    (state->protocol != NET_UNIX && (state->carried[IO_READ] || state->carried[IO_WRITE])))
		send_socket(header, state, &names, NET_CLOSE);
	bpf_map_delete_elem(&sockets, &inode);
	return 0;
}

/* A socket that no descriptor holds is cut off its inode, and so is whatever its memory became since. */
static __always_inline bool is_closed(struct socket_state *state, __u64 inode)
{
	return socket_inode((struct sock *)state->sk) != inode;
}

/* Before Linux 6.6 the file of a closed descriptor goes only after the system call. */
static __always_inline bool has_no_reference(struct file *file)
{
	return bpf_core_field_exists(file->f_count) && BPF_CORE_READ(file, f_count.counter) == 0;
}

static __always_inline bool has_one_reference(struct file *file)
{
	if (bpf_core_field_exists(file->f_count))
		return BPF_CORE_READ(file, f_count.counter) == 1;
	return BPF_CORE_READ(file, f_ref.refcnt.counter) == 0;
}

#endif
