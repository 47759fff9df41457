/* SPDX-License-Identifier: MIT */
/*
 * Lines that an interactive bash reads: what readline() returns, before the
 * shell looks at it. User space attaches it where a bash has that function, or
 * the library that it takes it from.
 */
#define PAYLOAD_RECORD struct readline_data
#define PAYLOAD_SOURCE COUNT_READLINE
#define SEND_PART send_readline_part
/* One part. A line of more than 32 KiB was hardly typed. */
#define PAYLOAD_BYTES_PER_CALL MAX_PART_BYTES
#include "payload.bpf.h"

char LICENSE[] __weak SEC("license") = "Dual MIT/GPL";

/* A line is measured in steps of so many bytes, up to 1 MiB. */
#define STEP_BYTES 128
#define MAX_STEPS 8192

struct measure {
	__u64 from;
	__u32 len;
	__u32 failed;
};

/* 1 ends the loop. */
static long measure_step(__u32 index, struct measure *measure)
{
	char step[STEP_BYTES];
	long len = bpf_probe_read_user_str(step, sizeof(step), (const void *)(measure->from + measure->len));

	if (len <= 0) {
		measure->failed = 1;
		return 1;
	}
	/* Its NUL is counted: the kernel's, where the line goes on. */
	measure->len += len - 1;
	return len < STEP_BYTES;
}

SEC("uretprobe")
int readline_exit(struct pt_regs *regs)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct traced *entry = bpf_map_lookup_elem(&traced, &tgid);
	struct measure measure = { .from = PT_REGS_RC(regs) };
	struct transfer transfer = {};
	struct cpu_state *cpu;

	/* NULL: the end of the input. */
	if (!entry || !measure.from)
		return 0;
	cpu = this_cpu_state();
	if (!cpu)
		return 0;
	bpf_loop(MAX_STEPS, measure_step, &measure, 0);
	if (measure.failed)
		count(cpu, COUNT_READLINE, COUNT_READ_FAULT, 1);
	if (measure.len == 0)
		return 0;
	fill_header(&transfer.record.header, RECORD_READLINE, bpf_get_current_task_btf(), entry->root);
	transfer.record.total = measure.len;
	transfer.buffer = measure.from;
	transfer.buffer_left = measure.len;
	send_transfer(&transfer, cpu);
	return 0;
}
