/* SPDX-License-Identifier: MIT */
/*
 * The record contract: what a BPF program writes into the ring and what
 * src/decode reads out of it. Included by bpf/ and native/, mirrored by
 * src/decode/layout.ts, which a test compares with this file.
 *
 * Little-endian, fixed-width fields, no implicit padding. Kinds are
 * append-only: a retired number stays here as a comment. A reader skips a
 * kind it does not know by the size in the header.
 */
#ifndef AGENTSIGHT_EVENT_H
#define AGENTSIGHT_EVENT_H

#ifdef __bpf__
/* The fixed-width types come from kernel.h. */
#else
#include <linux/types.h>
#endif

/* 1-15 process, 16-31 tls, 32-47 stdio, 48-63 file, 64-79 net: gaps are kept for growth. */
enum record_kind {
	RECORD_PROCESS_FORK = 1,
	RECORD_PROCESS_EXEC = 2,
	RECORD_PROCESS_EXIT = 3,
	RECORD_TLS_DATA = 16,
	RECORD_TLS_CLOSE = 17,
	RECORD_STDIO_DATA = 32,
};

/* Bits of record_header.flags; 0x0008 and up are free. */
enum record_flag {
	RECORD_TRUNCATED = 0x0001,	/* the cap was reached: the record carries less than there was */
	RECORD_READ_FAULT = 0x0002,	/* some user memory could not be read: those bytes are zero */
	RECORD_MAXRSS_UPPER_BOUND = 0x0004, /* EXIT: peak RSS may be inherited over exec */
};

struct record_header {
	__u32 size;		/* whole record in bytes, this header included */
	__u16 kind;		/* enum record_kind */
	__u16 flags;		/* enum record_flag */
	__u64 time_ns;		/* CLOCK_BOOTTIME */
	__u64 start_ns;		/* CLOCK_BOOTTIME start of the thread-group leader: with pid, names the process for ever */
	__u32 pid;		/* thread-group id, init namespace */
	__u32 tid;
	__u32 root;		/* pid of the traced root process this one descends from: its session */
	__u32 uid;
	char comm[16];		/* name of the thread-group leader, NUL-padded */
	__u64 sequence;		/* cpu << 48 | number of this record on that cpu */
};

/* pid is the child: comm is what it inherits, start_ns its own. */
struct process_fork {
	struct record_header header;
	__u64 parent_start_ns;
	__u32 ppid;
	__u32 reserved;
};

/*
 * Followed by filename, cwd and argv, in that order. filename and cwd are not
 * NUL-terminated; in argv a NUL ends each argument, the last one too unless
 * the text was cut. filename is what was executed as the kernel
 * was given it; cwd is absolute. RECORD_TRUNCATED: argv was longer than
 * MAX_ARGV_BYTES; argv_total then says how long.
 */
struct process_exec {
	struct record_header header;
	__u64 parent_start_ns;
	__u32 ppid;
	__u32 gid;
	__u32 filename_len;
	__u32 cwd_len;
	__u32 argv_len;
	__u32 argv_total;
	__u32 cwd_truncated;	/* 1: more path components than we walk; cwd is its tail */
	__u32 reserved;
	/* char text[filename_len + cwd_len + argv_len] */
};

/* Once per process, when its last thread ends. */
struct process_exit {
	struct record_header header;
	__u64 parent_start_ns;
	__u64 peak_rss_bytes;
	__u64 user_ns;
	__u64 system_ns;
	__u32 ppid;
	__u32 exit_code;	/* 0-255; 0 when a signal ended it */
	__u32 signal;		/* 0 when it exited by itself */
	__u32 core_dumped;
};

enum io_direction {
	IO_READ = 0,
	IO_WRITE = 1,
};

enum tls_library {
	TLS_OPENSSL = 1,
	TLS_GNUTLS = 2,
	TLS_NSS = 3,
	TLS_BORINGSSL = 4,
	TLS_RUSTLS = 5,
	TLS_GO = 6,
};

/*
 * One part of what one successful TLS read or write carried. A call of more
 * than MAX_PART_BYTES continues in further records of the same operation:
 * offset says where in the call this part starts. position counts the bytes
 * that this connection carried in this direction before the call, whether or
 * not their records were delivered: the reader sees every gap and its size.
 */
struct tls_data {
	struct record_header header;
	__u64 connection;	/* unique for the life of the capture, never reused */
	__u64 position;		/* bytes of this connection and direction before this call */
	__u64 operation;	/* the same in all parts of one call */
	__u32 total;		/* bytes of the call */
	__u32 offset;		/* of this part in the call */
	__u32 len;		/* of this part */
	__u8 direction;		/* enum io_direction */
	__u8 library;		/* enum tls_library */
	__u16 reserved;
	/* __u8 payload[len] */
};

/* The connection object was freed: no more data will carry this connection. */
struct tls_close {
	struct record_header header;
	__u64 connection;
};

struct stdio_data {
	struct record_header header;
	__u64 operation;
	__u64 inode;		/* of what the descriptor points to */
	__u64 device;		/* its device: st_dev; for a character device st_rdev */
	__u32 total;
	__u32 offset;
	__u32 len;
	__s32 fd;
	__u32 mode;		/* st_mode: its type bits say pipe, socket, terminal, file */
	__u8 direction;		/* enum io_direction */
	__u8 reserved[3];
	/* __u8 payload[len] */
};

/*
 * Limits of one record. Parts of 32 KiB keep a part below the ring's share
 * that one reservation may take and let a 1 MiB write travel in 32 records.
 */
#define MAX_PART_BYTES 32768
#define MAX_ARGV_BYTES 32768
#define MAX_PATH_BYTES 4096

/*
 * Counters, one u64 per cpu each: what was delivered, and every way to lose
 * something. Index = source * COUNTERS_PER_SOURCE + enum counter.
 */
enum counter_source {
	COUNT_PROCESS = 0,
	COUNT_TLS = 1,
	COUNT_STDIO = 2,
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
	COUNTERS_PER_SOURCE = 8,
};

#ifdef __cplusplus
#define _Static_assert static_assert
#endif

_Static_assert(sizeof(struct record_header) == 64, "record_header");
_Static_assert(sizeof(struct process_fork) == 80, "process_fork");
_Static_assert(sizeof(struct process_exec) == 104, "process_exec");
_Static_assert(sizeof(struct process_exit) == 112, "process_exit");
_Static_assert(sizeof(struct tls_data) == 104, "tls_data");
_Static_assert(sizeof(struct tls_close) == 72, "tls_close");
_Static_assert(sizeof(struct stdio_data) == 112, "stdio_data");

#endif
