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

/* 1-15 process, 16-31 tls, 32-47 stdio, 48-63 file, 64-79 net, 80-87 signal, 88-95 readline: gaps are kept for growth. */
enum record_kind {
	RECORD_PROCESS_FORK = 1,
	RECORD_PROCESS_EXEC = 2,
	RECORD_PROCESS_EXIT = 3,
	RECORD_PROCESS_JOIN = 4,
	RECORD_PROCESS_IO_URING = 5,
	RECORD_TLS_DATA = 16,
	RECORD_TLS_CLOSE = 17,
	RECORD_TLS_ENDPOINT = 18,
	RECORD_TLS_HANDSHAKE = 19,
	RECORD_STDIO_DATA = 32,
	RECORD_FILE_CHANGE = 48,
	RECORD_FILE_IO = 49,
	RECORD_NET_SOCKET = 64,
	RECORD_NET_DATA = 65,
	RECORD_SIGNAL = 80,
	RECORD_READLINE = 88,
};

/* Bits of record_header.flags; 0x0010 and up are free. */
enum record_flag {
	RECORD_TRUNCATED = 0x0001,	/* the cap was reached: the record carries less than there was */
	RECORD_READ_FAULT = 0x0002,	/* some user memory could not be read: those bytes are zero */
	RECORD_MAXRSS_UPPER_BOUND = 0x0004, /* EXIT: peak RSS may be inherited over exec */
	RECORD_EXEC_BY_THREAD = 0x0008,	/* EXEC: not by the first thread, so that the process has another leader now */
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

/* A process that runs has become a traced root by entering a control group. */
struct process_join {
	struct record_header header;
};

/* A process has made an io_uring, whose reads and writes are no system calls. Once for each program that it runs. */
struct process_io_uring {
	struct record_header header;
};

/*
 * Followed by filename, cwd, exe, cgroup and argv, in that order. The first
 * four are not NUL-terminated; in argv a NUL ends each argument, the last one
 * too unless the text was cut. filename is what was executed as the kernel
 * was given it; cwd, exe and cgroup are absolute, exe is empty where it could
 * not be told. RECORD_TRUNCATED: argv was longer than
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
	__u32 exe_len;
	__u32 cgroup_len;
	__u32 reserved;
	/* char text[filename_len + cwd_len + exe_len + cgroup_len + argv_len] */
};

#define IO_NOT_COUNTED 0xffffffffffffffffULL

/* Once per process, when its last thread ends. */
struct process_exit {
	struct record_header header;
	__u64 parent_start_ns;
	__u64 peak_rss_bytes;
	__u64 user_ns;
	__u64 system_ns;
	__u64 read_bytes;	/* by calls like read; IO_NOT_COUNTED where the kernel does not count */
	__u64 written_bytes;
	__u32 ppid;
	__u32 exit_code;	/* 0-255; 0 when a signal ended it */
	__u32 signal;		/* 0 when it exited by itself */
	__u32 core_dumped;
};

/*
 * Both ends of a socket. IPv4 addresses are in the first four bytes; IPv4
 * within IPv6 is told as IPv4. Paths of unix sockets are not in it.
 */
struct endpoint {
	__u64 socket;		/* inode number, as in socket:[123]; 0 unknown */
	__u16 family;		/* AF_INET, AF_INET6, AF_UNIX; 0 unknown */
	__u16 local_port;	/* ports in host order */
	__u16 remote_port;
	__u16 reserved;
	__u8 local[16];
	__u8 remote[16];
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

/* How the socket of a connection ended, where not by closing it. */
enum tcp_reset {
	RESET_NONE = 0,
	RESET_RECEIVED = 1,	/* by the other side */
	RESET_SENT = 2,		/* by this one */
};

/* The connection object was freed: no more data will carry this connection. */
struct tls_close {
	struct record_header header;
	__u64 connection;
	__u8 reset;		/* enum tcp_reset, of its socket so far */
	__u8 reset_state;	/* TCP_* of the kernel before that */
	__u8 reserved[6];
};

enum tls_evidence {
	EVIDENCE_INFERRED = 1,	/* the socket that the thread used last before a read, or next after a write */
	EVIDENCE_PROVEN = 2,	/* its bytes passed within a call on the connection, or the program's structures name it */
};

/* The socket of a connection became known, or is another one than was told before. */
struct tls_endpoint {
	struct record_header header;
	__u64 connection;
	struct endpoint endpoint;
	__u32 evidence;		/* enum tls_evidence */
	__u32 library;		/* enum tls_library; 0 while nothing passed the connection */
};

/* A handshake that ended: from its first call to its last, with all waiting in between. */
struct tls_handshake {
	struct record_header header;
	__u64 connection;
	__u64 latency_ns;
	__u8 ok;
	__u8 library;		/* enum tls_library */
	__u16 reserved[3];
};

/* len 0: the bytes moved within the kernel, by sendfile, splice or tee. */
struct stdio_data {
	struct record_header header;
	__u64 operation;
	__u64 inode;		/* of what the descriptor points to */
	__u64 device;		/* its device: st_dev; for a character device st_rdev */
	__u64 peer;		/* of a unix socket: inode of the one it is connected to; of a terminal's master: its number + 1; else 0 */
	__u32 total;
	__u32 offset;
	__u32 len;
	__s32 fd;
	__u32 mode;		/* st_mode: its type bits say pipe, socket, terminal, file */
	__u8 direction;		/* enum io_direction */
	__u8 reserved[3];
	/* __u8 payload[len] */
};

enum file_change_kind {
	FILE_OPEN = 1,
	FILE_TRUNCATE = 2,
	FILE_RENAME = 3,
	FILE_LINK = 4,
	FILE_SYMLINK = 5,
	FILE_UNLINK = 6,
	FILE_MKDIR = 7,
	FILE_RMDIR = 8,
	FILE_CHMOD = 9,
	FILE_CHOWN = 10,
};

/*
 * An operation on a path, done or failed. Followed by path, its base, target
 * and its base, in that order. A path is as the program gave it; its base, the
 * kernel's own path of what it is relative to, is empty where it is absolute.
 * What was opened has the kernel's own path. RECORD_TRUNCATED: a path has lost
 * its beginning or its end.
 */
struct file_change {
	struct record_header header;
	__u64 file;		/* OPEN of a regular file: names it in each file_io of this descriptor; else 0 */
	__u64 length;		/* TRUNCATE */
	__s32 result;		/* of the system call: a descriptor, 0, or an errno below 0 */
	__u32 flags;		/* OPEN: O_*; RENAME: RENAME_* */
	__u32 at_flags;		/* AT_* of the calls that take them */
	__u32 mode;		/* permission bits asked for */
	__u32 uid;		/* CHOWN; all ones: left as it was */
	__u32 gid;
	__u16 path_len;
	__u16 base_len;
	__u16 target_len;
	__u16 target_base_len;
	__u8 change;		/* enum file_change_kind */
	__u8 created;		/* OPEN made the file */
	__u8 reserved[6];
	/* char text[path_len + base_len + target_len + target_base_len] */
};

/*
 * What a process read and wrote through one descriptor of a regular file since
 * the last such record. Without calls: only names the file, which was open
 * before it was seen. The device is its superblock's.
 */
struct file_io {
	struct record_header header;
	__u64 file;		/* as in file_change; 0: path follows and nothing else belongs to it */
	__u64 inode;
	__u64 device;
	__u64 first_ns;		/* CLOCK_BOOTTIME of the first and of the last call */
	__u64 last_ns;
	__u64 read_bytes;
	__u64 read_calls;
	__u64 written_bytes;
	__u64 write_calls;
	__s32 fd;
	__u32 path_len;
	/* char path[path_len] */
};

enum net_event {
	NET_CONNECT = 1,
	NET_ACCEPT = 2,
	NET_BIND = 3,
	NET_LISTEN = 4,
	NET_CLOSE = 5,
	NET_KTLS = 6,		/* TLS in the kernel was asked for */
	NET_PREFIX = 7,		/* a side has said enough of something that is neither HTTP nor TLS */
};

enum net_protocol {
	NET_OTHER = 0,
	NET_TCP = 1,
	NET_UDP = 2,
	NET_UNIX = 3,
};

/* What the first bytes of a socket say that it carries. */
enum net_content {
	CONTENT_UNDECIDED = 0,	/* too few bytes yet: they are sent, and may be any of these */
	CONTENT_HTTP = 1,
	CONTENT_HELLO = 2,	/* a TLS ClientHello, up to its end */
	CONTENT_DNS = 3,
	CONTENT_TLS = 4,	/* not sent; one empty record tells of a stream that was TLS before we looked */
	CONTENT_OTHER = 5,	/* not sent */
};

/* Followed by the two names of a unix socket, MAX_UNIX_NAME bytes each, where its endpoint says AF_UNIX. */
struct net_socket {
	struct record_header header;
	__u64 connection;	/* unique for the life of the capture, never reused */
	__u64 read_bytes;
	__u64 written_bytes;
	__u64 duration_ns;	/* CONNECT: until the outcome; CLOSE: since it began */
	struct endpoint endpoint;
	__s32 fd;
	__u32 error;		/* errno, 0 when it went well */
	__u8 event;		/* enum net_event */
	__u8 protocol;		/* enum net_protocol */
	__u8 content;		/* enum net_content */
	__u8 existing;		/* 1: it was there before the trace; bytes and duration are since then */
	__u16 local_len;	/* bytes of the names of a unix socket; an abstract one begins with NUL */
	__u16 remote_len;
	__u8 prefix[16];	/* the first eight bytes of each direction, by enum io_direction */
	__u8 prefix_len[2];	/* 0 of one whose beginning was not seen */
	__u8 reset;		/* CLOSE: enum tcp_reset */
	__u8 reset_state;	/* TCP_* of the kernel before that */
	__u8 reserved[4];
};

/* Bytes of a socket. len 0: they went from a file to the socket within the kernel. */
struct net_data {
	struct record_header header;
	__u64 connection;
	__u64 position;		/* bytes of this connection and direction before this call */
	__u64 operation;
	struct endpoint endpoint;
	__u32 total;
	__u32 offset;
	__u32 len;
	__u8 direction;		/* enum io_direction */
	__u8 content;		/* enum net_content */
	__u8 protocol;		/* enum net_protocol */
	__u8 reserved;
	/* __u8 payload[len] */
};

/* sun_path of a sockaddr_un. */
#define MAX_UNIX_NAME 108

enum signal_outcome {
	SIGNAL_DELIVERED = 0,	/* the first five are the kernel's TRACE_SIGNAL_* */
	SIGNAL_IGNORED = 1,
	SIGNAL_PENDING = 2,	/* the same one waits already: this one adds nothing */
	SIGNAL_OVERFLOW = 3,	/* a real-time signal that the queue refused */
	SIGNAL_LOST_INFO = 4,	/* delivered, without who sent it */
	SIGNAL_FAILED = 5,	/* the system call failed: error says why */
};

/*
 * A signal to or from a traced process. The header is the sender's where that
 * is traced, else the target's.
 */
struct signal_sent {
	struct record_header header;
	__u64 sender_start_ns;	/* 0: the kernel sent it */
	__u64 target_start_ns;	/* 0: not known, as of a call that failed */
	__u32 sender_pid;
	__s32 target_pid;	/* of a call that failed: as the program gave it; 0 where it gave a descriptor */
	__s32 number;
	__u32 error;		/* errno of a call that failed */
	__s32 code;		/* si_code */
	__u32 outcome;		/* enum signal_outcome */
	char sender_comm[16];
	char target_comm[16];
};

/* A line that bash's readline() returned, without its end. */
struct readline_data {
	struct record_header header;
	__u64 operation;
	__u32 total;
	__u32 offset;
	__u32 len;
	__u32 reserved;
	/* __u8 payload[len] */
};

/*
 * Limits of one record. Parts of 32 KiB keep a part below the ring's share
 * that one reservation may take and let a 1 MiB write travel in 32 records.
 */
#define MAX_PART_BYTES 32768
#define MAX_ARGV_BYTES 32768
#define MAX_PATH_BYTES 4096

#ifdef __cplusplus
#define _Static_assert static_assert
#endif

_Static_assert(sizeof(struct record_header) == 64, "record_header");
_Static_assert(sizeof(struct process_fork) == 80, "process_fork");
_Static_assert(sizeof(struct process_join) == 64, "process_join");
_Static_assert(sizeof(struct process_io_uring) == 64, "process_io_uring");
_Static_assert(sizeof(struct process_exec) == 112, "process_exec");
_Static_assert(sizeof(struct process_exit) == 128, "process_exit");
_Static_assert(sizeof(struct endpoint) == 48, "endpoint");
_Static_assert(sizeof(struct tls_data) == 104, "tls_data");
_Static_assert(sizeof(struct tls_close) == 80, "tls_close");
_Static_assert(sizeof(struct tls_endpoint) == 128, "tls_endpoint");
_Static_assert(sizeof(struct tls_handshake) == 88, "tls_handshake");
_Static_assert(sizeof(struct stdio_data) == 120, "stdio_data");
_Static_assert(sizeof(struct file_change) == 120, "file_change");
_Static_assert(sizeof(struct file_io) == 144, "file_io");
_Static_assert(sizeof(struct net_socket) == 184, "net_socket");
_Static_assert(sizeof(struct net_data) == 152, "net_data");
_Static_assert(sizeof(struct signal_sent) == 136, "signal_sent");
_Static_assert(sizeof(struct readline_data) == 88, "readline_data");

#endif
