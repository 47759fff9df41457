/* SPDX-License-Identifier: MIT */
/*
 * Plaintext of OpenSSL's and BoringSSL's reads and writes. Uprobes: an enter
 * program keeps the arguments per thread, the exit program at the return sends
 * what was carried, and only when the call succeeded. Node tries one and the
 * same write several times before it succeeds.
 *
 * The _ex programs also fit the library's internal functions, ssl_read_internal
 * and ssl_write_internal, which have the same arguments and result.
 */
#define PAYLOAD_RECORD struct tls_data
#define PAYLOAD_SOURCE COUNT_TLS
#include "payload.bpf.h"
#include "calls.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct connection_key {
	__u64 ssl;
	__u32 tgid;
	__u32 image;	/* a pointer says nothing in another program image */
};

struct connection {
	__u64 id;
	__u64 carried[2];	/* bytes so far, by enum io_direction */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_CONNECTIONS);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections SEC(".maps");

static __always_inline struct connection *connection_of(struct cpu_state *cpu, struct connection_key *key)
{
	struct connection created = {};
	struct connection *known = bpf_map_lookup_elem(&connections, key);

	if (known)
		return known;
	created.id = next_number(&cpu->connections);
	/* Another thread may have been faster: both go on with what is there. */
	if (bpf_map_update_elem(&connections, key, &created, BPF_NOEXIST) == 0)
		return bpf_map_lookup_elem(&connections, key);
	known = bpf_map_lookup_elem(&connections, key);
	if (!known)
		count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
	return known;
}

static __always_inline void send_call(struct cpu_state *cpu, struct traced *entry, struct call *call, __u64 carried)
{
	struct transfer transfer = {};
	struct tls_data *record = &transfer.record;
	struct connection_key key = {
		.ssl = call->ssl,
		.tgid = bpf_get_current_pid_tgid() >> 32,
		.image = entry->image,
	};
	struct connection *connection = connection_of(cpu, &key);

	if (!connection)
		return;
	fill_header(&record->header, RECORD_TLS_DATA, bpf_get_current_task_btf(), entry->root);
	record->connection = connection->id;
	if (call->direction == IO_WRITE)
		record->position = __sync_fetch_and_add(&connection->carried[IO_WRITE], carried);
	else
		record->position = __sync_fetch_and_add(&connection->carried[IO_READ], carried);
	record->total = carried;
	record->direction = call->direction;
	record->library = TLS_OPENSSL;
	transfer.buffer = call->buffer;
	transfer.buffer_left = carried;
	send_transfer(&transfer, cpu);
}

static __always_inline int leave_and_send(struct pt_regs *regs, bool is_ex)
{
	struct traced *entry = traced_entry();
	struct thread_calls *thread;
	struct cpu_state *cpu;
	struct call call;
	long result = (int)PT_REGS_RC(regs);
	__u64 carried;

	if (!entry)
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	if (!thread || leave(thread, PT_REGS_SP(regs), &call)) {
		count(cpu, COUNT_TLS, COUNT_MISSED, 1);
		return 0;
	}
	if (result <= 0 || call.is_sent)
		return 0;
	carried = result;
	if (is_ex && bpf_probe_read_user(&carried, sizeof(carried), (const void *)call.carried)) {
		count(cpu, COUNT_TLS, COUNT_READ_FAULT, 1);
		return 0;
	}
	/* No call carries more than a size_t of 31 bits in practice; a wild one is cut, not believed. */
	if (carried == 0 || carried > 0x7fffffff)
		return 0;
	mark_outer(thread, &call);
	send_call(cpu, entry, &call, carried);
	return 0;
}

SEC("uprobe")
int BPF_KPROBE(ssl_read_enter, __u64 ssl, __u64 buffer)
{
	return enter(ctx, IO_READ, ssl, buffer, 0);
}

SEC("uretprobe")
int ssl_read_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, false);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_enter, __u64 ssl, __u64 buffer)
{
	return enter(ctx, IO_WRITE, ssl, buffer, 0);
}

SEC("uretprobe")
int ssl_write_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, false);
}

SEC("uprobe")
int BPF_KPROBE(ssl_read_ex_enter, __u64 ssl, __u64 buffer, __u64 size, __u64 carried)
{
	return enter(ctx, IO_READ, ssl, buffer, carried);
}

SEC("uretprobe")
int ssl_read_ex_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, true);
}

SEC("uprobe")
int BPF_KPROBE(ssl_write_ex_enter, __u64 ssl, __u64 buffer, __u64 size, __u64 carried)
{
	return enter(ctx, IO_WRITE, ssl, buffer, carried);
}

SEC("uretprobe")
int ssl_write_ex_exit(struct pt_regs *ctx)
{
	return leave_and_send(ctx, true);
}

/* SSL objects are counted references: one free of several ends a connection early, and it starts anew under another id. */
SEC("uprobe")
int BPF_KPROBE(ssl_free_enter, __u64 ssl)
{
	struct traced *entry = traced_entry();
	struct connection *known;
	struct cpu_state *cpu;
	struct tls_close *record;
	struct bpf_dynptr ptr;
	struct connection_key key = {};
	__u64 id;

	if (!entry)
		return 0;
	cpu = this_cpu_state();
	key.ssl = ssl;
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	key.image = entry->image;
	known = bpf_map_lookup_elem(&connections, &key);
	if (!cpu || !known)
		return 0;
	id = known->id;
	/* Whoever deletes it reports it. */
	if (bpf_map_delete_elem(&connections, &key))
		return 0;
	if (bpf_ringbuf_reserve_dynptr(&ring, sizeof(*record), 0, &ptr)) {
		bpf_ringbuf_discard_dynptr(&ptr, 0);
		next_number(&cpu->records);
		count(cpu, COUNT_TLS, COUNT_RING_FULL, 1);
		return 0;
	}
	record = bpf_dynptr_data(&ptr, 0, sizeof(*record));
	if (!record) {
		bpf_ringbuf_discard_dynptr(&ptr, 0);
		return 0;
	}
	fill_header(&record->header, RECORD_TLS_CLOSE, bpf_get_current_task_btf(), entry->root);
	record->header.size = sizeof(*record);
	record->header.sequence = next_number(&cpu->records);
	record->connection = id;
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	count(cpu, COUNT_TLS, COUNT_DELIVERED, 1);
	return 0;
}
