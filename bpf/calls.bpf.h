/* SPDX-License-Identifier: MIT */
/*
 * Calls that traced threads are in: kept from a function's entry to its
 * return. Frames are told apart by stack pointer.
 */
#ifndef AGENTSIGHT_CALLS_BPF_H
#define AGENTSIGHT_CALLS_BPF_H

#include "binding.bpf.h"

#if defined(__TARGET_ARCH_x86)
/* The return address that the call pushed is popped when the return probe runs. */
#define RETURN_SP_BYTES 8
#else
#define RETURN_SP_BYTES 0
#endif

/* A call inside a call: TLS through a TLS proxy, an exported function over the internal one. */
#define MAX_DEPTH 4

/* What a call does beside enum io_direction: it carries no plaintext. */
#define CALL_HANDSHAKE 2

struct call {
	__u64 sp;	/* at entry; tells the frames of one thread apart */
	__u64 connection;	/* the address of its object */
	__u64 buffer;
	__u64 carried;	/* size_t * that the _ex functions fill, 0 for the others */
	__u32 direction;	/* enum io_direction or CALL_HANDSHAKE */
	__u32 is_sent;	/* an inner call on the same connection has sent this data */
};

struct thread_calls {
	__u32 depth;
	__u32 has_received;	/* no call has taken what came from the socket of received */
	struct place received;	/* the last TCP socket that this thread received from outside of a call */
	__u64 unbound;		/* the object whose bytes the thread's next TCP send should carry, 0 none */
	__u64 unbound_bytes;
	struct call calls[MAX_DEPTH];
};

/* Per thread, freed by the kernel with the thread: nothing is left behind, whatever way it ends. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_calls);
} threads __weak SEC(".maps");

static __always_inline struct thread_calls *thread_calls(struct cpu_state *cpu)
{
	struct thread_calls *thread;

	thread = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread)
		count(cpu, COUNT_TLS, COUNT_MAP_FULL, 1);
	return thread;
}

/* NULL when the thread was in no call and used no socket since it is traced. */
static __always_inline struct thread_calls *known_thread_calls(void)
{
	return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
}

/* A call that takes ciphertext in begins: what the thread received last is for its connection. */
static __always_inline void take_received(struct cpu_state *cpu, struct traced *entry, struct thread_calls *thread,
					  __u64 pointer)
{
	struct connection *connection;

	if (!thread->has_received)
		return;
	thread->has_received = 0;
	connection = connection_of(cpu, entry, pointer);
	if (connection)
		bind_connection(entry, connection, &thread->received, EVIDENCE_INFERRED);
}

/* A call gave ciphertext out: the thread's next TCP send carries it, if the connection has no socket yet. */
static __always_inline void await_send(struct thread_calls *thread, struct connection *connection, __u64 pointer,
				       __u64 bytes)
{
	if (connection->socket != 0)
		return;
	thread->unbound = pointer;
	thread->unbound_bytes = bytes;
}

static __always_inline int enter(struct pt_regs *regs, __u32 direction, __u64 connection, __u64 buffer, __u64 carried)
{
	struct traced *entry = traced_entry();
	struct thread_calls *thread;
	struct cpu_state *cpu;
	struct call *call;
	__u64 sp = PT_REGS_SP(regs);
	__u32 depth;
	int index;

	if (!entry)
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	thread = thread_calls(cpu);
	if (!thread)
		return 0;
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
	call->connection = connection;
	call->buffer = buffer;
	call->carried = carried;
	call->direction = direction;
	call->is_sent = 0;
	thread->depth = depth + 1;
	if (direction != IO_WRITE)
		take_received(cpu, entry, thread, connection);
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

		if ((__u32)index < depth && outer->connection == call->connection && outer->direction == call->direction)
			outer->is_sent = 1;
	}
}

#endif
