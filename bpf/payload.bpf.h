/* SPDX-License-Identifier: MIT */
/*
 * Sends what one call carried, in parts of at most MAX_PART_BYTES. Include it
 * after defining PAYLOAD_RECORD (struct with header, total, offset, len),
 * PAYLOAD_SOURCE (enum counter_source) and SEND_PART, a name of its own for
 * the function that sends this record; PAYLOAD_BYTES_PER_CALL where the source
 * has a cap of its own.
 */
#ifndef AGENTSIGHT_PAYLOAD_BPF_H
#define AGENTSIGHT_PAYLOAD_BPF_H

#include "common.bpf.h"

#ifndef PAYLOAD_BYTES_PER_CALL
#define PAYLOAD_BYTES_PER_CALL config.payload_bytes_per_call
#endif

/* Buffers of one readv or writev; the kernel's own limit is UIO_MAXIOV, 1024. */
#define MAX_BUFFERS 1024
/* A loop bound: parts of the largest configurable cap (64 MiB) and one per buffer. */
#define MAX_PARTS (2048 + MAX_BUFFERS)

/* One call on its way out. */
struct transfer {
	PAYLOAD_RECORD record;	/* what all parts have in common, then each part's own */
	__u64 buffer;		/* where the next part starts in the program's memory */
	__u64 buffer_left;
	__u64 vector;		/* iovecs that follow, 0 for a plain call */
	__u32 vector_left;
	__u32 left;		/* bytes still to send */
};

/*
 * Global, not static: the verifier then checks it once by itself instead of
 * at each call and in each turn of the loop, where its many paths multiply
 * past the limit. Weak: the sources that send one record share it.
 */
__weak __noinline int SEND_PART(struct transfer *transfer, __u32 len)
{
	struct cpu_state *cpu = this_cpu_state();
	PAYLOAD_RECORD *record;
	struct bpf_dynptr ptr;
	__u32 size;

	if (!cpu || !transfer)
		return 0;
	size = sizeof(transfer->record) + len;
	transfer->record.header.sequence = next_number(&cpu->records);
	if (transfer->record.offset == 0)
		transfer->record.operation = transfer->record.header.sequence;
	if (!payload_fits(size)) {
		count(cpu, PAYLOAD_SOURCE, COUNT_RING_FULL, 1);
		count(cpu, PAYLOAD_SOURCE, COUNT_RING_FULL_BYTES, len);
		return 0;
	}
	if (bpf_ringbuf_reserve_dynptr(&ring, size, 0, &ptr)) {
		bpf_ringbuf_discard_dynptr(&ptr, 0);
		count(cpu, PAYLOAD_SOURCE, COUNT_RING_FULL, 1);
		count(cpu, PAYLOAD_SOURCE, COUNT_RING_FULL_BYTES, len);
		return 0;
	}
	transfer->record.header.size = size;
	transfer->record.len = len;
	transfer->record.header.flags &= ~RECORD_READ_FAULT;
	if (copy_user(&ptr, sizeof(transfer->record), transfer->buffer, len)) {
		transfer->record.header.flags |= RECORD_READ_FAULT;
		count(cpu, PAYLOAD_SOURCE, COUNT_READ_FAULT, 1);
	}
	record = bpf_dynptr_data(&ptr, 0, sizeof(*record));
	if (!record) {
		bpf_ringbuf_discard_dynptr(&ptr, 0);
		return 0;
	}
	*record = transfer->record;
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	count(cpu, PAYLOAD_SOURCE, COUNT_DELIVERED, 1);
	return 0;
}

static __always_inline int next_buffer(struct transfer *transfer)
{
	struct iovec vector;

	if (transfer->vector_left == 0)
		return -1;
	if (bpf_probe_read_user(&vector, sizeof(vector), (const void *)transfer->vector))
		return -1;
	transfer->vector += sizeof(vector);
	transfer->vector_left--;
	transfer->buffer = (__u64)vector.iov_base;
	transfer->buffer_left = vector.iov_len;
	return 0;
}

/* A bpf_loop() step: one part, or the step to the next buffer. 1 ends the loop. */
static long send_next_part(__u32 index, struct transfer **passed)
{
	struct transfer *transfer = *passed;
	__u32 len = transfer->left;

	if (len == 0)
		return 1;
	if (transfer->buffer_left == 0)
		return next_buffer(transfer) ? 1 : 0;
	if (len > transfer->buffer_left)
		len = transfer->buffer_left;
	if (len > MAX_PART_BYTES)
		len = MAX_PART_BYTES;
	SEND_PART(transfer, len);
	transfer->record.offset += len;
	transfer->buffer += len;
	transfer->buffer_left -= len;
	transfer->left -= len;
	return 0;
}

/*
 * record is filled but for sequence, operation, offset, len and size; buffer
 * and vector say where the total bytes are.
 */
static __always_inline void send_transfer(struct transfer *transfer, struct cpu_state *cpu)
{
	__u32 total = transfer->record.total;

	count(cpu, PAYLOAD_SOURCE, COUNT_CALLS, 1);
	transfer->record.offset = 0;
	transfer->left = total;
	if (total > PAYLOAD_BYTES_PER_CALL) {
		transfer->left = PAYLOAD_BYTES_PER_CALL;
		transfer->record.header.flags |= RECORD_TRUNCATED;
		count(cpu, PAYLOAD_SOURCE, COUNT_TRUNCATED_BYTES, total - transfer->left);
	}
	if (transfer->left <= MAX_PART_BYTES && transfer->left <= transfer->buffer_left) {
		/* Nearly every call: one buffer, one part. */
		SEND_PART(transfer, transfer->left);
		return;
	}
	/* Before Linux 6.4 a loop takes what is on the stack, and nothing else. */
	bpf_loop(MAX_PARTS, send_next_part, &transfer, 0);
	/* Buffers that could not be read: the reader sees the gap by its offset, we count it. */
	if (transfer->left > 0)
		count(cpu, PAYLOAD_SOURCE, COUNT_READ_FAULT, 1);
}

#endif
