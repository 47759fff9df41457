/* SPDX-License-Identifier: MIT */
/* What a process used in its life, read when it ends: processor time and peak memory. */
#ifndef AGENTSIGHT_USAGE_BPF_H
#define AGENTSIGHT_USAGE_BPF_H

#include "common.bpf.h"

/* Threads whose times we add up when their process ends; the rest goes missing from its sum. */
#define MAX_THREADS 4096

/* Processor time of all threads, dead ones included. */
struct times {
	struct list_head *node;
	struct list_head *head;
	__u64 user;
	__u64 system;
	__u64 run;
};

static long add_thread(__u32 index, struct times *times)
{
	struct list_head *node = times->node;
	struct task_struct *thread;

	if (node == times->head || !node)
		return 1;
	thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
	times->user += BPF_CORE_READ(thread, utime);
	times->system += BPF_CORE_READ(thread, stime);
	times->run += BPF_CORE_READ(thread, se.sum_exec_runtime);
	times->node = BPF_CORE_READ(node, next);
	return 0;
}

/*
 * As getrusage(2): the scheduler's exact run time, divided in the proportion
 * of the two sampled times.
 */
static __always_inline void read_times(struct process_exit *record, struct signal_struct *signal)
{
	struct times times = {
		.node = signal->thread_head.next,
		.user = signal->utime,
		.system = signal->stime,
		.run = signal->sum_sched_runtime,
	};
	__u64 sampled, millionths;

	times.head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	bpf_loop(MAX_THREADS, add_thread, &times, 0);
	sampled = times.user + times.system;
	if (sampled == 0 || times.run == 0) {
		/* Shorter than a tick of the clock that samples: the kernel, too, calls it user time. */
		record->user_ns = times.run ? times.run : times.user;
		record->system_ns = times.run ? 0 : times.system;
		return;
	}
	/* In steps of 1 us, so that the product stays within 64 bits. */
	millionths = (times.system >> 10) * 1000000 / ((sampled >> 10) + 1);
	record->system_ns = times.run / 1000000 * millionths + times.run % 1000000 * millionths / 1000000;
	record->user_ns = times.run - record->system_ns;
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
