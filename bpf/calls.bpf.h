/* SPDX-License-Identifier: MIT */
/*
 * Calls that traced threads are in: kept from a function's entry to its
 * return. Frames are told apart by stack pointer.
 */
#ifndef AGENTSIGHT_CALLS_BPF_H
#define AGENTSIGHT_CALLS_BPF_H

#include "common.bpf.h"

#if defined(__TARGET_ARCH_x86)
/* The return address that the call pushed is popped when the return probe runs. */
#define RETURN_SP_BYTES 8
#else
#define RETURN_SP_BYTES 0
#endif

/* A call inside a call: TLS through a TLS proxy, an exported function over the internal one. */
#define MAX_DEPTH 4

struct call {
	__u64 sp;	/* at entry; tells the frames of one thread apart */
	__u64 ssl;
	__u64 buffer;
	__u64 carried;	/* size_t * that the _ex functions fill, 0 for the others */
	__u32 direction;
	__u32 is_sent;	/* an inner call on the same connection has sent this data */
};

struct thread_calls {
	__u32 depth;
	__u32 reserved;
	struct call calls[MAX_DEPTH];
};

/* Per thread, freed by the kernel with the thread: nothing is left behind, whatever way it ends. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_calls);
} threads SEC(".maps");

static __always_inline struct traced *traced_entry(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&traced, &tgid);
}

static __always_inline int enter(struct pt_regs *regs, __u32 direction, __u64 ssl, __u64 buffer, __u64 carried)
{
	struct thread_calls *thread;
	struct cpu_state *cpu;
	struct call *call;
	__u64 sp = PT_REGS_SP(regs);
	__u32 depth;
	int index;

	if (!traced_entry())
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
		return 0;
	}
	/* A frame that is not above this one was left without a return, by longjmp or an exception. */
	depth = thread->depth;
	for (index = 0; index < MAX_DEPTH; index++) {
		if (depth == 0 || thread->calls[(depth - 1) & (MAX_DEPTH - 1)].sp > sp)
			break;
		depth--;
		count(cpu, COUNT_TLS, COUNT_MISSED, 1);
	}
	if (depth >= MAX_DEPTH) {
		count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
		return 0;
	}
	call = &thread->calls[depth & (MAX_DEPTH - 1)];
	call->sp = sp;
	call->ssl = ssl;
	call->buffer = buffer;
	call->carried = carried;
	call->direction = direction;
	call->is_sent = 0;
	thread->depth = depth + 1;
	return 0;
}

/* Takes the frame of the call that returns now off the thread's stack. */
static __always_inline int leave(struct thread_calls *thread, __u64 sp, struct call *call)
{
	__u32 depth = thread->depth;
	int index;

	for (index = 0; index < MAX_DEPTH; index++) {
		if (depth == 0)
			return -1;
		depth--;
		if (thread->calls[depth & (MAX_DEPTH - 1)].sp + RETURN_SP_BYTES == sp) {
			*call = thread->calls[depth & (MAX_DEPTH - 1)];
			thread->depth = depth;
			return 0;
		}
	}
	return -1;
}

/* The outer calls of the same connection and direction carry the same bytes again. */
static __always_inline void mark_outer(struct thread_calls *thread, struct call *call)
{
	__u32 depth = thread->depth;
	int index;

	for (index = 0; index < MAX_DEPTH; index++) {
		struct call *outer = &thread->calls[index];

		if ((__u32)index < depth && outer->ssl == call->ssl && outer->direction == call->direction)
			outer->is_sent = 1;
	}
}

#endif
