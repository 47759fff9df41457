/* SPDX-License-Identifier: MIT */
/* What a process used in its life, read when it ends: processor time, bytes read and written, peak memory. */
#ifndef AGENTSIGHT_USAGE_BPF_H
#define AGENTSIGHT_USAGE_BPF_H

#include "common.bpf.h"

/* Threads whose usage we add up when their process ends; the rest goes missing from its sum. */
#define MAX_THREADS 4096

/* Of all threads, dead ones included. */
struct usage {
	struct list_head *node;
	struct list_head *head;
	__u64 user;
	__u64 system;
	__u64 run;
	__u64 read_bytes;
	__u64 written_bytes;
};

static __always_inline bool counts_io(void)
{
	return bpf_core_field_exists(struct task_io_accounting, rchar);
}

static long add_thread(__u32 index, struct usage *usage)
{
	struct list_head *node = usage->node;
	struct task_struct *thread;

	if (node == usage->head || !node)
		return 1;
	thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
	usage->user += BPF_CORE_READ(thread, utime);
	usage->system += BPF_CORE_READ(thread, stime);
	usage->run += BPF_CORE_READ(thread, se.sum_exec_runtime);
	if (counts_io()) {
		usage->read_bytes += BPF_CORE_READ(thread, ioac.rchar);
		usage->written_bytes += BPF_CORE_READ(thread, ioac.wchar);
	}
	usage->node = BPF_CORE_READ(node, next);
	return 0;
}

/*
 * As getrusage(2): the scheduler's exact run time, divided in the proportion
 * of the two sampled times.
 */
static __always_inline void read_usage(struct process_exit *record, struct signal_struct *signal)
{
	struct usage usage = {
		.node = signal->thread_head.next,
		.user = signal->utime,
		.system = signal->stime,
		.run = signal->sum_sched_runtime,
		.read_bytes = IO_NOT_COUNTED,
		.written_bytes = IO_NOT_COUNTED,
	};
	__u64 sampled, millionths;

	if (counts_io()) {
		usage.read_bytes = signal->ioac.rchar;
		usage.written_bytes = signal->ioac.wchar;
	}
	usage.head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	bpf_loop(MAX_THREADS, add_thread, &usage, 0);
	record->read_bytes = usage.read_bytes;
	record->written_bytes = usage.written_bytes;
	sampled = usage.user + usage.system;
	if (sampled == 0 || usage.run == 0) {
		/* Shorter than a tick of the clock that samples: the kernel, too, calls it user time. */
		record->user_ns = usage.run ? usage.run : usage.user;
		record->system_ns = usage.run ? 0 : usage.system;
		return;
	}
	/* In steps of 1 us, so that the product stays within 64 bits. */
	millionths = (usage.system >> 10) * 1000000 / ((sampled >> 10) + 1);
	record->system_ns = usage.run / 1000000 * millionths + usage.run % 1000000 * millionths / 1000000;
	record->user_ns = usage.run - record->system_ns;
}

/* An approximate counter: may be below zero by what its cpus still hold. */
static __always_inline __u64 not_negative(__s64 pages)
{
	return pages > 0 ? pages : 0;
}

/*
 * Linux before 6.16 takes the memory away before this tracepoint: then only the
 * peak is left that the process inherits over exec.
 */
static __always_inline void read_peak_rss(struct process_exit *record, struct task_struct *task)
{
	struct mm_struct *mm = task->mm;
	__u64 peak, now;

	if (!mm || !bpf_core_field_exists(struct mm_struct, rss_stat[0].count)) {
		record->peak_rss_bytes = (__u64)task->signal->maxrss * config.page_bytes;
		record->header.flags |= RECORD_MAXRSS_UPPER_BOUND;
		return;
	}
	peak = mm->hiwater_rss;
	/* Of files, anonymous, shared; 2 are pages swapped out. Constant indices: CO-RE knows the kernel's stride. */
	now = not_negative(BPF_CORE_READ(mm, rss_stat[0].count)) +
	      not_negative(BPF_CORE_READ(mm, rss_stat[1].count)) +
	      not_negative(BPF_CORE_READ(mm, rss_stat[3].count));
	record->peak_rss_bytes = (peak > now ? peak : now) * config.page_bytes;
}

#endif
