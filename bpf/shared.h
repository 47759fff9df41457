/* SPDX-License-Identifier: MIT */
/*
 * What user space and the programs agree on besides records: configuration
 * and the values of shared maps. Included by bpf/ and native/.
 */
#ifndef AGENTSIGHT_SHARED_H
#define AGENTSIGHT_SHARED_H

#include "event.h"

/* Set before load; constants to the programs. */
struct config {
	__u64 payload_ring_bytes;	/* payload is refused when the ring would hold more */
	__u32 payload_bytes_per_call;	/* kept of one call */
	__u32 emit_process;		/* 0: follow processes, write no records of them */
	__u32 all_fds;			/* stdio on every descriptor, not on 0, 1 and 2 alone */
	__u32 page_bytes;
};

/* A process of the traced set. */
struct traced {
	__u32 root;	/* pid of the traced root that it descends from */
	__u32 image;	/* changes with each exec, and for each process that gets the same pid */
};

#define COUNTER_SLOTS ((__u32)COUNT_SOURCES * (__u32)COUNTERS_PER_SOURCE)

struct cpu_state {
	__u64 counters[COUNTER_SLOTS];
	__u64 records;		/* numbers given to records */
	__u64 connections;	/* numbers given to connections */
};

/* Processes traced at the same time; more are counted in COUNT_MAP_FULL and not followed. */
#define MAX_TRACED 65536
/* Names given to trace by. */
#define MAX_COMMS 64
/* TLS connections with a byte count; the longest unused one is forgotten and starts anew. */
#define MAX_CONNECTIONS 16384

#endif
