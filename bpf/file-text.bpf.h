/* SPDX-License-Identifier: MIT */
/*
 * Records of files on their way out: a fixed part, and texts that are appended
 * to it. Built in memory of the cpu and copied into the ring at their exact size.
 */
#ifndef AGENTSIGHT_FILE_TEXT_BPF_H
#define AGENTSIGHT_FILE_TEXT_BPF_H

#include "path.bpf.h"
#include "syscall.bpf.h"

#define MAX_TEXTS_BYTES (4 * MAX_PATH_BYTES)

/*
 * The kernel runs programs at a system call's end with preemption off; `busy`
 * holds even where it would not. Either record ends where the texts begin. The
 * last path of texts is only room for the verifier, which knows offset and
 * length but not that they end in time.
 */
struct file_scratch {
	__u32 busy;
	__u32 truncated;	/* a text has lost its beginning or end */
	__u32 fault;
	__u32 used;		/* bytes of texts */
	struct path_text walk;
	union {
		struct file_io io;
		struct {
			char unused[sizeof(struct file_io) - sizeof(struct file_change)];
			struct file_change change;
		};
	};
	char texts[MAX_TEXTS_BYTES + MAX_PATH_BYTES];
};

_Static_assert(__builtin_offsetof(struct file_scratch, change) + sizeof(struct file_change) ==
	       __builtin_offsetof(struct file_scratch, texts), "texts follow both records");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct file_scratch);
} file_scratches SEC(".maps");

/* NULL when it is in use: counted. */
static __always_inline struct file_scratch *take_scratch(struct cpu_state *cpu)
{
	struct file_scratch *scratch;
	__u32 zero = 0;

	scratch = bpf_map_lookup_elem(&file_scratches, &zero);
	if (!scratch)
		return NULL;
	if (__sync_val_compare_and_swap(&scratch->busy, 0, 1) != 0) {
		count(cpu, COUNT_FILE, COUNT_MISSED, 1);
		return NULL;
	}
	scratch->truncated = 0;
	scratch->fault = 0;
	scratch->used = 0;
	return scratch;
}

static __always_inline void give_scratch(struct file_scratch *scratch)
{
	__sync_lock_test_and_set(&scratch->busy, 0);
}

/* The last eighth of the ring is for processes: many small records must not cost us one of theirs. */
static __always_inline void send_file_record(struct cpu_state *cpu, struct record_header *header, __u64 size)
{
	count(cpu, COUNT_FILE, COUNT_CALLS, 1);
	header->size = size;
	header->sequence = next_number(&cpu->records);
	if (!payload_fits(size) || bpf_ringbuf_output(&ring, header, size, 0)) {
		count(cpu, COUNT_FILE, COUNT_RING_FULL, 1);
		return;
	}
	count(cpu, COUNT_FILE, COUNT_DELIVERED, 1);
}

/* Appends the kernel's own path of an open file or directory to `texts`; its length. */
static __noinline __u32 append_path(struct file_scratch *scratch, struct vfsmount *mnt, struct dentry *dentry)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 used = scratch->used;
	__u32 start, len, truncated;

	if (!mnt || !dentry || used > MAX_TEXTS_BYTES - MAX_PATH_BYTES)
		return 0;
	start = read_path(&scratch->walk, task, mnt, dentry, &truncated);
	if (start >= MAX_PATH_BYTES)
		return 0;
	len = MAX_PATH_BYTES - start;
	barrier_var(len);
	if (len > MAX_PATH_BYTES)
		return 0;
	bpf_probe_read_kernel(&scratch->texts[used], len, &scratch->walk.bytes[start]);
	scratch->used = used + len;
	scratch->truncated |= truncated;
	return len;
}

static __always_inline __u32 append_path_of_file(struct file_scratch *scratch, struct file *file)
{
	return append_path(scratch, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
}

/* Appends a text of the program to `texts`; its length. */
static __noinline __u32 append_text(struct file_scratch *scratch, __u64 text)
{
	__u32 used = scratch->used;
	char *to;
	long len;

	if (used > MAX_TEXTS_BYTES - MAX_PATH_BYTES)
		return 0;
	to = &scratch->texts[used];
	len = bpf_probe_read_user_str(to, MAX_PATH_BYTES, (const void *)text);
	if (len < 0)
		scratch->fault = 1;
	/* An empty text has one byte, its end; the helper of 6.1 says none. */
	if (len <= 0)
		return 0;
	/* A text that fills the buffer lost its end, or ended with its last byte: both are too long for any path. */
	if (len == MAX_PATH_BYTES)
		scratch->truncated = 1;
	scratch->used = used + (len - 1);
	return len - 1;
}

#endif
