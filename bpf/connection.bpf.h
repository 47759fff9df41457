/* SPDX-License-Identifier: MIT */
/*
 * TLS connections: an id and a count of bytes for each object of a traced
 * process that stands for one, and the records about it. The object is known
 * by its address, whatever it is to its library: an SSL, a session, a PRFileDesc, a
 * cipher context, a Go Conn.
 */
#ifndef AGENTSIGHT_CONNECTION_BPF_H
#define AGENTSIGHT_CONNECTION_BPF_H

#define PAYLOAD_RECORD struct tls_data
#define PAYLOAD_SOURCE COUNT_TLS
#define SEND_PART send_tls_part
#include "payload.bpf.h"
#include "resets.bpf.h"

struct connection_key {
	__u64 pointer;
	__u32 tgid;
	__u32 image;	/* a pointer says nothing in another program image */
};

struct connection {
	__u64 id;
	__u64 carried[2];	/* bytes so far, by enum io_direction */
	__u64 references;	/* beyond the one that the object began with */
	/* Its socket, once known: inode number, where the kernel keeps it, and how we know. */
	__u64 socket;
	__u64 sock;
	__u64 candidate;	/* another socket that was seen once where ours was expected */
	__u32 evidence;		/* enum tls_evidence */
	__u32 handshake;	/* enum handshake_state */
	__u32 library;		/* enum tls_library; 0 while nothing passed */
	__u16 is_left_out;	/* its socket has another port than those selected */
	__u16 is_told;		/* a record of it was sent */
	__u64 handshake_start_ns;
	__u64 handshake_last_ns; /* when its last call returned */
};

enum handshake_state {
	HANDSHAKE_NONE,
	HANDSHAKE_STARTED,
	HANDSHAKE_ENDED,
};

/* Shared by all objects, by its name. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_CONNECTIONS);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections __weak SEC(".maps");

static __always_inline struct traced *traced_entry(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&traced, &tgid);
}

static __always_inline struct connection_key connection_key(struct traced *entry, __u64 pointer)
{
	return (struct connection_key){
		.pointer = pointer,
		.tgid = bpf_get_current_pid_tgid() >> 32,
		.image = entry->image,
	};
}

/* NULL when it carried nothing yet. */
static __always_inline struct connection *known_connection(struct traced *entry, __u64 pointer)
{
	struct connection_key key = connection_key(entry, pointer);

	return bpf_map_lookup_elem(&connections, &key);
}

/* Too big for the stack. */
static const struct connection new_connection = {};

static __always_inline struct connection *connection_of(struct cpu_state *cpu, struct traced *entry, __u64 pointer)
{
	struct connection_key key = connection_key(entry, pointer);
	struct connection *known = bpf_map_lookup_elem(&connections, &key);

	if (!known) {
		bpf_map_update_elem(&connections, &key, &new_connection, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&connections, &key);
		if (!known) {
			count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
			return NULL;
		}
	}
	/* Another thread may have been faster: both go on with what is there. */
	if (known->id == 0)
		__sync_val_compare_and_swap(&known->id, 0, next_connection(cpu));
	return known;
}

static __always_inline bool has_carried(struct connection *connection)
{
	return connection->carried[IO_READ] > 0 || connection->carried[IO_WRITE] > 0;
}

/* What one successful call carried: the carried bytes at buffer. */
static __always_inline void send_data(struct cpu_state *cpu, struct traced *entry, struct connection *connection,
				      __u32 direction, __u8 library, __u64 buffer, __u32 carried)
{
	struct transfer transfer = {};
	struct tls_data *record = &transfer.record;

	connection->library = library;
	fill_header(&record->header, RECORD_TLS_DATA, bpf_get_current_task_btf(), entry->root);
	record->connection = connection->id;
	if (direction == IO_WRITE)
		record->position = __sync_fetch_and_add(&connection->carried[IO_WRITE], carried);
	else
		record->position = __sync_fetch_and_add(&connection->carried[IO_READ], carried);
	if (connection->is_left_out)
		return;
	connection->is_told = 1;
	record->total = carried;
	record->direction = direction;
	record->library = library;
	transfer.buffer = buffer;
	transfer.buffer_left = carried;
	send_transfer(&transfer, cpu);
}

/* A record without payload; all but the size and the number is filled in. */
static __always_inline void send_record(struct cpu_state *cpu, struct record_header *header, __u32 size)
{
	header->size = size;
	header->sequence = next_number(&cpu->records);
	if (bpf_ringbuf_output(&ring, header, size, 0))
		count(cpu, COUNT_TLS, COUNT_RING_FULL, 1);
	else
		count(cpu, COUNT_TLS, COUNT_DELIVERED, 1);
}

static __always_inline void send_handshake(struct cpu_state *cpu, struct traced *entry, struct connection *connection,
					   bool ok, __u8 library)
{
	struct tls_handshake record = {
		.connection = connection->id,
		.latency_ns = connection->handshake_last_ns - connection->handshake_start_ns,
		.ok = ok,
		.library = library,
	};

	connection->handshake = HANDSHAKE_ENDED;
	if (connection->is_left_out)
		return;
	connection->is_told = 1;
	fill_header(&record.header, RECORD_TLS_HANDSHAKE, bpf_get_current_task_btf(), entry->root);
	send_record(cpu, &record.header, sizeof(record));
}

/* Of a connection as it was: its entry may be another's by now. */
static __always_inline void send_close(struct cpu_state *cpu, struct traced *entry, const struct connection *connection)
{
	struct reset reset = reset_of(connection->socket);
	struct tls_close record = { .connection = connection->id, .reset = reset.by, .reset_state = reset.state };

	if (connection->is_left_out && !connection->is_told)
		return;
	fill_header(&record.header, RECORD_TLS_CLOSE, bpf_get_current_task_btf(), entry->root);
	send_record(cpu, &record.header, sizeof(record));
}

/* The object is gone. What comes at its address later is another connection. */
static __always_inline void close_connection(struct cpu_state *cpu, struct traced *entry, __u64 pointer)
{
	struct connection_key key = connection_key(entry, pointer);
	struct connection *known = bpf_map_lookup_elem(&connections, &key);
	struct connection last = {};

	if (!known)
		return;
	last.id = known->id;
	last.socket = known->socket;
	last.is_left_out = known->is_left_out;
	last.is_told = known->is_told;
	/* Whoever deletes it reports it. */
	if (bpf_map_delete_elem(&connections, &key) == 0)
		send_close(cpu, entry, &last);
}

#endif
