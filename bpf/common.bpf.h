/* SPDX-License-Identifier: MIT */
/*
 * What every program shares: the ring, the traced set, per-CPU state, the
 * header of a record. What has one name in several sources is weak, and one
 * thing once they are linked: so one order holds over all sources.
 */
#ifndef AGENTSIGHT_COMMON_BPF_H
#define AGENTSIGHT_COMMON_BPF_H

#include "kernel.h"
#include "event.h"
#include "shared.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Its own section: literals that the compiler adds to .rodata cannot move it. */
const volatile struct config config __weak SEC(".rodata.config") = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} ring __weak SEC(".maps");

/* tgid -> what it belongs to. In it: traced. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_TRACED);
	__type(key, __u32);
	__type(value, struct traced);
} traced __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_state);
} cpu_states __weak SEC(".maps");

static __always_inline struct cpu_state *this_cpu_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpu_states, &zero);
}

/*
 * Uprobe programs may be preempted by another one on the same cpu: plain
 * additions to per-CPU memory would lose counts.
 */
static __always_inline void count(struct cpu_state *cpu, enum counter_source source,
				  enum counter counter, __u64 amount)
{
	__sync_fetch_and_add(&cpu->counters[source * COUNTERS_PER_SOURCE + counter], amount);
}

/* Numbers are unique over cpus, and one that the ring refused stays unused: a gap is a loss. */
static __always_inline __u64 next_number(__u64 *counter)
{
	return (__u64)bpf_get_smp_processor_id() << 48 | __sync_fetch_and_add(counter, 1);
}

/* Never 0, which is no connection. */
static __always_inline __u64 next_connection(struct cpu_state *cpu)
{
	return next_number(&cpu->connections) + 1;
}

/* Tells two programs apart that had the same pid, or two images of one process. */
static __always_inline __u32 new_image(void)
{
	return bpf_ktime_get_boot_ns() >> 10;
}

/* Everything but size and sequence. */
static __always_inline void fill_header(struct record_header *header, __u16 kind,
					struct task_struct *task, __u32 root)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	header->kind = kind;
	header->flags = 0;
	header->time_ns = bpf_ktime_get_boot_ns();
	header->start_ns = BPF_CORE_READ(leader, start_boottime);
	header->pid = task->tgid;
	header->tid = task->pid;
	header->root = root;
	header->uid = bpf_get_current_uid_gid();
	BPF_CORE_READ_INTO(&header->comm, leader, comm);
}

/*
 * --port: whether traffic between these ports is wanted; in host order. Ask
 * where both are known: a unix socket has none. What is not known yet passes, and user
 * space drops it when it can (analyzers/filter.ts). Costs nothing where no
 * port is selected.
 */
static __always_inline bool is_selected_port(__u16 local_port, __u16 remote_port)
{
	int index;

	if (config.port_count == 0)
		return true;
	for (index = 0; index < MAX_SELECTORS; index++) {
		if ((__u32)index < config.port_count &&
		    (config.ports[index] == local_port || config.ports[index] == remote_port))
			return true;
	}
	return false;
}

/*
 * Payload leaves the last eighth of the ring to process records: a flood of
 * bytes must not cost us a process.
 */
static __always_inline bool payload_fits(__u32 size)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) + size <= config.payload_ring_bytes;
}

/*
 * Both halves of [0, len) as slices of the constant length that
 * bpf_dynptr_data() wants. They overlap unless len is 2 * LENGTH: any len has
 * such a power of two, so two reads copy any number of bytes without scratch.
 * A read that fails zeroes its slice.
 */
#define COPY_TWO_SLICES(LENGTH)								\
	do {										\
		void *head = bpf_dynptr_data(ptr, offset, (LENGTH));			\
		void *tail = bpf_dynptr_data(ptr, offset + len - (LENGTH), (LENGTH));	\
											\
		if (!head || !tail)							\
			return -1;							\
		fault = bpf_probe_read_user(head, (LENGTH), (const void *)from);	\
		if (len != (LENGTH))							\
			fault |= bpf_probe_read_user(tail, (LENGTH),			\
						     (const void *)(from + len - (LENGTH))); \
		return fault;								\
	} while (0)

/* len is 1 to 32768. Not zero: some of the memory could not be read and is zeros. */
static __noinline __attribute__((unused)) long copy_user(struct bpf_dynptr *ptr, __u32 offset, __u64 from, __u32 len)
{
	long fault;

	if (len >= 256) {
		if (len >= 32768)
			COPY_TWO_SLICES(32768);
		if (len >= 16384)
			COPY_TWO_SLICES(16384);
		if (len >= 8192)
			COPY_TWO_SLICES(8192);
		if (len >= 4096)
			COPY_TWO_SLICES(4096);
		if (len >= 2048)
			COPY_TWO_SLICES(2048);
		if (len >= 1024)
			COPY_TWO_SLICES(1024);
		if (len >= 512)
			COPY_TWO_SLICES(512);
		COPY_TWO_SLICES(256);
	}
	if (len >= 128)
		COPY_TWO_SLICES(128);
	if (len >= 64)
		COPY_TWO_SLICES(64);
	if (len >= 32)
		COPY_TWO_SLICES(32);
	if (len >= 16)
		COPY_TWO_SLICES(16);
	if (len >= 8)
		COPY_TWO_SLICES(8);
	if (len >= 4)
		COPY_TWO_SLICES(4);
	if (len >= 2)
		COPY_TWO_SLICES(2);
	if (len >= 1)
		COPY_TWO_SLICES(1);
	return 0;
}

#endif
