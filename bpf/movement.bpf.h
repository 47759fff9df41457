/* SPDX-License-Identifier: MIT */
/*
 * Bytes on their way through a socket: counted, told by their first ones, and
 * sent where they are plain HTTP, DNS or a TLS greeting. Include it after
 * defining PAYLOAD_RECORD, PAYLOAD_SOURCE and SEND_PART.
 */
#ifndef AGENTSIGHT_MOVEMENT_BPF_H
#define AGENTSIGHT_MOVEMENT_BPF_H

#include "messages.bpf.h"
#include "payload.bpf.h"
#include "sockets.bpf.h"

/* Bytes that one call, or one message of it, moved. */
struct movement {
	__u64 buffer;		/* of a plain call */
	__u64 vector;		/* of a call with iovecs; both 0: within the kernel */
	__u64 vector_count;
	__u64 address;		/* sockaddr of the other side, or 0 */
	__u32 bytes;
	__u32 direction;
};

struct caller {
	struct task_struct *task;
	__u32 root;
};

/*
 * What leaves, too big for the stack below all those callers. The kernel runs
 * programs at a system call's end with preemption off; `busy` holds even where
 * it would not.
 */
struct outgoing {
	struct transfer transfer;
	__u32 busy;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct outgoing);
} outgoings SEC(".maps");

/* NULL when it is in use: counted. */
static __always_inline struct outgoing *take_outgoing(struct cpu_state *cpu)
{
	struct outgoing *outgoing;
	__u32 zero = 0;

	outgoing = bpf_map_lookup_elem(&outgoings, &zero);
	if (!outgoing)
		return NULL;
	if (__sync_val_compare_and_swap(&outgoing->busy, 0, 1) != 0) {
		count(cpu, COUNT_NET, COUNT_MISSED, 1);
		return NULL;
	}
	__builtin_memset(&outgoing->transfer, 0, sizeof(outgoing->transfer));
	return outgoing;
}

static __always_inline bool is_plain_port(__u16 port)
{
	for (int i = 0; i < MAX_PLAIN_PORTS; i++) {
		if (port != 0 && config.plain_ports[i] == port)
			return true;
	}
	return false;
}

/*
 * Up to eight bytes of a movement, from its first three buffers. Returns how
 * many. Global, as all that is called on many paths: it is verified once.
 */
__noinline int first_bytes(struct movement *movement, __u64 *bytes)
{
	__u32 have = 0;
	struct iovec vector;
	__u64 part;
	__u32 want;
	__u32 len;

	if (!movement || !bytes)
		return 0;
	want = movement->bytes < PREFIX_BYTES ? movement->bytes : PREFIX_BYTES;
	*bytes = 0;
	/* The verifier of 6.1 does not carry a bound over to a copy of 32 bits: ask once more. */
	barrier_var(want);
	if (want > PREFIX_BYTES)
		return 0;
	if (movement->buffer)
		return bpf_probe_read_user(bytes, want, (const void *)movement->buffer) ? 0 : want;
	for (__u32 i = 0; i < 3; i++) {
		if (i >= movement->vector_count || have >= want || !movement->vector)
			break;
		if (bpf_probe_read_user(&vector, sizeof(vector), (const void *)(movement->vector + i * sizeof(vector))))
			break;
		len = vector.iov_len < want - have ? vector.iov_len : want - have;
		part = 0;
		barrier_var(len);
		if (len > PREFIX_BYTES || bpf_probe_read_user(&part, len, vector.iov_base))
			break;
		*bytes |= part << (have & 7) * 8;
		have += len;
	}
	return have;
}

static __always_inline void start_hello(struct socket_state *state, __u32 direction, __u64 prefix, __u32 seen)
{
	__u32 bytes = hello_bytes(prefix);

	state->hello_left = bytes > seen ? bytes - seen : 0;
	state->hello_direction = direction;
}

/* Returns how many are known now. */
static __always_inline __u32 add_prefix(struct socket_state *state, __u32 direction, __u64 bytes, __u32 len)
{
	__u32 had = state->prefix_len[direction];

	if (had >= PREFIX_BYTES)
		return PREFIX_BYTES;
	state->prefix[direction] |= bytes << had * 8;
	len = had + len < PREFIX_BYTES ? had + len : PREFIX_BYTES;
	state->prefix_len[direction] = len;
	return len;
}

/* Decides what an undecided stream carries; says what to do with the bytes of this movement. */
static __noinline int content_of(struct socket_state *state, struct movement *movement)
{
	__u32 direction = movement->direction & 1;
	__u64 bytes;
	__u32 len;

	if (state->content != CONTENT_UNDECIDED && !state->is_tunnel)
		return state->content;
	len = first_bytes(movement, &bytes);
	if (state->is_tunnel) {
		if (classify(bytes, len) == CONTENT_HELLO) {
			state->is_tunnel = 0;
			state->content = CONTENT_HELLO;
			start_hello(state, direction, bytes, 0);
		}
		return state->content;
	}
	len = add_prefix(state, direction, bytes, len);
	/* Unreadable memory, or bytes that never were in any. */
	if (len == 0)
		return CONTENT_OTHER;
	bytes = state->prefix[direction];
	state->content = classify(bytes, len);
	if (state->content == CONTENT_HELLO)
		start_hello(state, direction, bytes, state->carried[direction]);
	state->is_tunnel = state->content == CONTENT_HTTP && bytes == WORD("CONNECT ");
	return state->content;
}

/* Reads a sockaddr of IPv4 or IPv6 as one end. False for other families. */
static __noinline bool read_address(__u64 from, __u16 *family, __u16 *port, __u8 *address)
{
	struct {
		__u16 family;
		__be16 port;
		__u8 v4[4];
		struct in6_addr v6;
	} name = {};

	if (bpf_probe_read_user(&name, 8, (const void *)from))
		return false;
	if (name.family != AF_INET && name.family != AF_INET6)
		return false;
	*family = name.family;
	*port = bpf_ntohs(name.port);
	__builtin_memset(address, 0, 16);
	if (name.family == AF_INET) {
		__builtin_memcpy(address, name.v4, 4);
		return true;
	}
	if (bpf_probe_read_user(&name.v6, sizeof(name.v6), (const void *)(from + 8)))
		return false;
	if (is_v4_mapped(&name.v6)) {
		*family = AF_INET;
		__builtin_memcpy(address, &name.v6.in6_u.u6_addr8[12], 4);
	} else {
		__builtin_memcpy(address, &name.v6, 16);
	}
	return true;
}

static __always_inline void send_bytes(struct caller *caller, struct cpu_state *cpu, struct socket_state *state,
				       struct movement *movement, __u64 position, __u8 content)
{
	struct outgoing *outgoing = take_outgoing(cpu);
	struct transfer *transfer;
	struct net_data *record;

	if (!outgoing)
		return;
	transfer = &outgoing->transfer;
	record = &transfer->record;
	fill_header(&record->header, RECORD_NET_DATA, caller->task, caller->root);
	record->connection = state->connection;
	record->position = position;
	record->endpoint = state->endpoint;
	if (movement->address && state->protocol == NET_UDP)
		read_address(movement->address, &record->endpoint.family, &record->endpoint.remote_port,
			     record->endpoint.remote);
	record->total = movement->bytes;
	record->direction = movement->direction;
	record->content = content;
	record->protocol = state->protocol;
	if (!movement->buffer && !movement->vector) {
		count(cpu, COUNT_NET, COUNT_CALLS, 1);
		SEND_PART(transfer, 0);
	} else {
		transfer->buffer = movement->buffer;
		transfer->buffer_left = movement->buffer ? movement->bytes : 0;
		transfer->vector = movement->vector;
		transfer->vector_left = movement->vector_count;
		send_transfer(transfer, cpu);
	}
	__sync_lock_test_and_set(&outgoing->busy, 0);
}

/* Datagrams are messages of their own: only names are looked up in them. */
static __always_inline __u8 content_of_datagram(struct socket_state *state, struct movement *movement)
{
	__u8 address[16];
	__u16 family, port;

	if (state->endpoint.remote_port == DNS_PORT || state->endpoint.local_port == DNS_PORT)
		return CONTENT_DNS;
	if (movement->address && read_address(movement->address, &family, &port, address) && port == DNS_PORT)
		return CONTENT_DNS;
	return CONTENT_OTHER;
}

/* Of socketpair(2): a pipe by another name, as Node gives its children for standard output. */
static __always_inline bool is_pair(struct socket_state *state)
{
	struct unix_sock *sk = (struct unix_sock *)state->sk;
	struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ(sk, peer);

	return !BPF_CORE_READ(sk, addr) && !BPF_CORE_READ(peer, addr);
}

static __always_inline __u8 content_of_stream(struct socket_state *state, struct movement *movement)
{
	if (state->carried[0] == 0 && state->carried[1] == 0 && state->protocol == NET_UNIX && is_pair(state)) {
		state->content = CONTENT_OTHER;
		state->told = 3;
	}
	if (state->carried[0] == 0 && state->carried[1] == 0 && state->protocol == NET_TCP) {
		/* The port may decide before the bytes do. */
		if (state->endpoint.remote_port == DNS_PORT || state->endpoint.local_port == DNS_PORT)
			state->content = CONTENT_DNS;
		else if (is_plain_port(state->endpoint.remote_port) || is_plain_port(state->endpoint.local_port))
			state->content = CONTENT_HTTP;
	}
	return content_of(state, movement);
}

/* Of a datagram it is the port of its own other side that counts. */
static __noinline bool is_selected_movement(struct socket_state *state, struct movement *movement)
{
	__u16 port = state->endpoint.remote_port;
	__u8 address[16];
	__u16 family;

	if (config.port_count == 0)
		return true;
	if (state->protocol == NET_UDP && movement->address)
		read_address(movement->address, &family, &port, address);
	return is_selected_port(state->endpoint.local_port, port);
}

/*
 * The shortest that tells: +OK of Redis with its line end. Of MySQL's greeting
 * one byte more does, which is there, because no client reads it in fives.
 */
#define TOLD_BYTES 5

/*
 * Of what is neither HTTP nor TLS user space tells the name by what both sides
 * said first. A datagram is a beginning of its own: the first one counts.
 */
__noinline int note_prefix(struct socket_state *state, struct movement *movement, bool is_added)
{
	__u32 direction;
	__u64 bytes = 0;
	__u32 len;

	if (!state || !movement)
		return 0;
	direction = movement->direction & 1;
	if (state->existing || state->told & (1 << direction))
		return 0;
	if (!is_added) {
		len = first_bytes(movement, &bytes);
		add_prefix(state, direction, bytes, len);
	}
	if (state->prefix_len[direction] < TOLD_BYTES && state->protocol != NET_UDP)
		return 0;
	state->told |= 1 << direction;
	state->is_untold = 1;
	return 0;
}

/* What was noted, once its movement is done: within, the stack of older kernels has no room for a record. */
static __noinline int tell_prefix(struct caller *caller, struct socket_state *state)
{
	struct unix_names names = {};
	struct record_header header;

	if (!state->is_untold)
		return 0;
	state->is_untold = 0;
	fill_header(&header, RECORD_NET_SOCKET, caller->task, caller->root);
	return send_socket(&header, state, &names, NET_PREFIX);
}

static __noinline int move(struct caller *caller, struct socket_state *state, struct movement *movement)
{
	struct cpu_state *cpu = this_cpu_state();
	__u32 direction = movement->direction & 1;
	__u8 before = state->content;
	__u64 position;
	__u8 content;

	if (!cpu || movement->bytes == 0)
		return 0;
	if (state->protocol != NET_UNIX && state->endpoint.local_port == 0)
		read_endpoint((struct sock *)state->sk, &state->endpoint);
	if (!is_selected_movement(state, movement)) {
		__sync_fetch_and_add(&state->carried[direction], movement->bytes);
		return 0;
	}
	if (state->protocol == NET_UDP)
		content = content_of_datagram(state, movement);
	else
		content = state->is_stream ? content_of_stream(state, movement) : CONTENT_OTHER;
	position = __sync_fetch_and_add(&state->carried[direction], movement->bytes);
	if (content == CONTENT_HELLO) {
		if (direction != state->hello_direction)
			return 0;
		state->hello_left -= movement->bytes < state->hello_left ? movement->bytes : state->hello_left;
		if (state->hello_left == 0)
			state->content = CONTENT_TLS;
	}
	if (content == CONTENT_TLS && before == CONTENT_UNDECIDED) {
		/* It was TLS before we looked: that alone is told. */
		movement->buffer = 0;
		movement->vector = 0;
	} else if (content > CONTENT_DNS) {
		if (content == CONTENT_OTHER)
			note_prefix(state, movement, before == CONTENT_UNDECIDED && state->is_stream);
		return 0;
	}
	send_bytes(caller, cpu, state, movement, position, content);
	return 0;
}

static __noinline int move_message(struct caller *caller, struct socket_state *state, __u64 from, __u32 bytes, __u32 direction)
{
	struct movement movement = {};
	struct user_msghdr message;

	if (bpf_probe_read_user(&message, sizeof(message), (const void *)from))
		return 0;
	movement.vector = message.vector;
	movement.vector_count = message.vector_count;
	movement.address = message.name;
	movement.bytes = bytes;
	movement.direction = direction;
	return move(caller, state, &movement);
}

struct messages {
	struct caller *caller;
	struct socket_state *state;
	__u64 from;
	__u32 count;
	__u32 direction;
};

static long move_next_message(__u32 index, struct messages *messages)
{
	__u64 from = messages->from + index * sizeof(struct user_mmsghdr);
	__u32 bytes;

	if (index >= messages->count)
		return 1;
	if (bpf_probe_read_user(&bytes, sizeof(bytes), (const void *)(from + sizeof(struct user_msghdr))) == 0)
		move_message(messages->caller, messages->state, from, bytes, messages->direction);
	return 0;
}

#endif
