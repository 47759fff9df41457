/* SPDX-License-Identifier: MIT */
/*
 * What user space and the programs agree on besides records: configuration
 * and the values of shared maps. Included by bpf/ and native/.
 */
#ifndef AGENTSIGHT_SHARED_H
#define AGENTSIGHT_SHARED_H

#include "counters.h"
#include "event.h"

/* Ports that may be named as plain HTTP. */
#define MAX_PLAIN_PORTS 8
/* Users, ports, executables, control groups and containers given to select by, of each. */
#define MAX_SELECTORS 16
/* Of an executable's path, a control group's, a container's id. */
#define MAX_SELECTOR_BYTES 256
/* Descriptors that can be selected one by one. */
#define MAX_SELECTED_FDS 1024

/* Set before load; constants to the programs. */
struct config {
	__u64 payload_ring_bytes;	/* payload is refused when the ring would hold more */
	__u64 fds[MAX_SELECTED_FDS / 64]; /* stdio on these: a bit each */
	__u32 payload_bytes_per_call;	/* kept of one call */
	__u32 stdio_bytes_per_call;
	__u32 emit_process;		/* 0: follow processes, write no records of them */
	__u32 all_fds;			/* stdio on every descriptor, whatever fds says */
	__u32 page_bytes;
	__u32 collector;		/* our own pid: never traced */
	__u32 follow;			/* children of traced processes are traced */
	__u32 comm_count;		/* how many of each select; 0: whatever it is */
	__u32 exe_count;
	__u32 cgroup_count;		/* containers included */
	__u32 uid_count;
	__u32 port_count;		/* then traffic is of these ports */
	__u32 uids[MAX_SELECTORS];
	__u16 ports[MAX_SELECTORS];
	__u16 plain_ports[MAX_PLAIN_PORTS];	/* sockets at these are taken for plain HTTP; 0: none */
};

struct exe_selector {
	char path[MAX_SELECTOR_BYTES];	/* NUL-padded */
};

struct cgroup_selector {
	char text[MAX_SELECTOR_BYTES];
	__u32 len;
	__u32 is_container;	/* text is the beginning of an id, not a path */
};

/* A process of the traced set. */
struct traced {
	__u32 root;	/* pid of the traced root that it descends from */
	__u32 image;	/* changes with each exec, and for each process that gets the same pid */
	__u32 io_uring;	/* the image that is known to have an io_uring */
};

struct cpu_state {
	__u64 counters[COUNTER_SLOTS];
	__u64 records;		/* numbers given to records */
	__u64 connections;	/* numbers given to connections */
};

/* Processes traced at the same time; more are counted in COUNT_MAP_FULL and not followed. */
#define MAX_TRACED 65536
/* Names given to trace by. */
#define MAX_COMMS 64
/* Reads of Go programs under way, one per connection whose goroutine waits (see MAX_SOCKETS); the longest unused one is forgotten, its bytes counted as missed. */
#define MAX_GO_READS 16384
/* TLS connections with a byte count; the longest unused one is forgotten and starts anew. */
#define MAX_CONNECTIONS 16384
/* Tables of functions that NSPR files were seen with; at it the longest unused is asked for anew. */
#define MAX_NSPR_METHODS 1024
/* Sockets of traced processes with their byte counts; more are counted in COUNT_MAP_FULL and not followed. */
#define MAX_SOCKETS 16384
/* Descriptors whose close ends a socket at once; for the longest unused ones it shows at the next sweep. */
#define MAX_SOCKET_DESCRIPTORS 32768
/* Descriptors of an ending process that are looked at; further ones wait for the next sweep. */
#define MAX_FDS_AT_EXIT 4096
/* Sockets that were reset and have not been told as ended; of the longest unused one it is forgotten, and it is told as closed. */
#define MAX_RESETS 4096
/* Messages of one sendmmsg or recvmmsg that are looked at. */
#define MAX_MESSAGES 64
/* Descriptors of regular files whose bytes are added up; calls on further ones are told one by one. */
#define MAX_OPEN_FILES 32768
/* Processes that have such descriptors. */
#define MAX_FILE_PROCESSES 16384

#endif
