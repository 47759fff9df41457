/* SPDX-License-Identifier: MIT */
/*
 * What the programs count, one u64 per cpu each: what was delivered, and every
 * way to lose something. Index = source * COUNTERS_PER_SOURCE + enum counter.
 * Included by bpf/ and native/, mirrored by src/decode/layout.ts, which a test
 * compares with this file.
 */
#ifndef AGENTSIGHT_COUNTERS_H
#define AGENTSIGHT_COUNTERS_H

enum counter_source {
	COUNT_PROCESS = 0,
	COUNT_TLS = 1,
	COUNT_STDIO = 2,
	COUNT_FILE = 3,
	COUNT_NET = 4,
	COUNT_SIGNAL = 5,
	COUNT_READLINE = 6,
	COUNT_SOURCES = 8,
};

enum counter {
	COUNT_DELIVERED = 0,	/* records submitted */
	COUNT_RING_FULL = 1,	/* records refused by the ring */
	COUNT_RING_FULL_BYTES = 2, /* payload bytes in them */
	COUNT_MAP_FULL = 3,	/* state that a full map refused */
	COUNT_READ_FAULT = 4,	/* records with unreadable user memory */
	COUNT_TRUNCATED_BYTES = 5, /* payload bytes cut by the cap */
	COUNT_MISSED = 6,	/* calls that ended without their start */
	COUNT_CALLS = 7,	/* calls of traced processes that carried payload */
	COUNT_COMPAT = 8,	/* calls of 32-bit programs, which are not decoded */
	COUNT_UNMERGED = 9,	/* calls told one by one, because the map that adds them up was full */
	COUNT_FOREIGN = 10,	/* calls of a hooked function for another purpose: nothing was lost */
	COUNT_LEFT_OUT_BYTES = 11, /* payload bytes that never were in the program's memory; their records say so */
	COUNTERS_PER_SOURCE = 16,
};

#define COUNTER_SLOTS ((__u32)COUNT_SOURCES * (__u32)COUNTERS_PER_SOURCE)

#endif
