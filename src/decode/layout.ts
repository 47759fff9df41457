/**
 * Where each field of a record lies, and what counters there are: the mirror of
 * bpf/event.h and bpf/counters.h, compared with them field by field in test/unit/decode-layout.test.ts.
 */

export const RECORD_KIND = {
  RECORD_PROCESS_FORK: 1,
  RECORD_PROCESS_EXEC: 2,
  RECORD_PROCESS_EXIT: 3,
  RECORD_PROCESS_JOIN: 4,
  RECORD_PROCESS_IO_URING: 5,
  RECORD_TLS_DATA: 16,
  RECORD_TLS_CLOSE: 17,
  RECORD_TLS_ENDPOINT: 18,
  RECORD_TLS_HANDSHAKE: 19,
  RECORD_STDIO_DATA: 32,
  RECORD_FILE_CHANGE: 48,
  RECORD_FILE_IO: 49,
  RECORD_NET_SOCKET: 64,
  RECORD_NET_DATA: 65,
  RECORD_SIGNAL: 80,
  RECORD_READLINE: 88,
} as const;

export const RECORD_FLAG = {
  RECORD_TRUNCATED: 0x0001,
  RECORD_READ_FAULT: 0x0002,
  RECORD_MAXRSS_UPPER_BOUND: 0x0004,
  RECORD_EXEC_BY_THREAD: 0x0008,
} as const;

/** Whole structs in bytes; variable parts follow. */
export const SIZE = {
  record_header: 64,
  process_fork: 80,
  process_join: 64,
  process_io_uring: 64,
  process_exec: 112,
  process_exit: 128,
  endpoint: 48,
  tls_data: 104,
  tls_close: 80,
  tls_endpoint: 128,
  tls_handshake: 88,
  stdio_data: 120,
  file_change: 120,
  file_io: 144,
  net_socket: 184,
  net_data: 152,
  signal_sent: 136,
  readline_data: 88,
} as const;

export const HEADER = {
  size: 0,
  kind: 4,
  flags: 6,
  time_ns: 8,
  start_ns: 16,
  pid: 24,
  tid: 28,
  root: 32,
  uid: 36,
  comm: 40,
  sequence: 56,
} as const;

/** Bytes of `comm`. */
export const COMM_BYTES = 16;

export const FORK = {
  parent_start_ns: 64,
  ppid: 72,
  reserved: 76,
} as const;

export const EXEC = {
  parent_start_ns: 64,
  ppid: 72,
  gid: 76,
  filename_len: 80,
  cwd_len: 84,
  argv_len: 88,
  argv_total: 92,
  cwd_truncated: 96,
  exe_len: 100,
  cgroup_len: 104,
  reserved: 108,
} as const;

/** `read_bytes` and `written_bytes` of a kernel that does not count them. */
export const IO_NOT_COUNTED = 0xffff_ffff_ffff_ffffn;

export const EXIT = {
  parent_start_ns: 64,
  peak_rss_bytes: 72,
  user_ns: 80,
  system_ns: 88,
  read_bytes: 96,
  written_bytes: 104,
  ppid: 112,
  exit_code: 116,
  signal: 120,
  core_dumped: 124,
} as const;

export const TLS = {
  connection: 64,
  position: 72,
  operation: 80,
  total: 88,
  offset: 92,
  len: 96,
  direction: 100,
  library: 101,
  reserved: 102,
} as const;

export const TLS_CLOSE = {
  connection: 64,
  reset: 72,
  reset_state: 73,
  reserved: 74,
} as const;

export const TLS_ENDPOINT = {
  connection: 64,
  endpoint: 72,
  evidence: 120,
  library: 124,
} as const;

export const TLS_HANDSHAKE = {
  connection: 64,
  latency_ns: 72,
  ok: 80,
  library: 81,
  reserved: 82,
} as const;

export const RESET = { RESET_NONE: 0, RESET_RECEIVED: 1, RESET_SENT: 2 } as const;

export const TLS_EVIDENCE = { EVIDENCE_INFERRED: 1, EVIDENCE_PROVEN: 2 } as const;

export const STDIO = {
  operation: 64,
  inode: 72,
  device: 80,
  peer: 88,
  total: 96,
  offset: 100,
  len: 104,
  fd: 108,
  mode: 112,
  direction: 116,
  reserved: 117,
} as const;

export const SIGNAL = {
  sender_start_ns: 64,
  target_start_ns: 72,
  sender_pid: 80,
  target_pid: 84,
  number: 88,
  error: 92,
  code: 96,
  outcome: 100,
  sender_comm: 104,
  target_comm: 120,
} as const;

export const SIGNAL_OUTCOME = {
  SIGNAL_DELIVERED: 0,
  SIGNAL_IGNORED: 1,
  SIGNAL_PENDING: 2,
  SIGNAL_OVERFLOW: 3,
  SIGNAL_LOST_INFO: 4,
  SIGNAL_FAILED: 5,
} as const;

export const READLINE = {
  operation: 64,
  total: 72,
  offset: 76,
  len: 80,
  reserved: 84,
} as const;

export const NET_SOCKET = {
  connection: 64,
  read_bytes: 72,
  written_bytes: 80,
  duration_ns: 88,
  endpoint: 96,
  fd: 144,
  error: 148,
  event: 152,
  protocol: 153,
  content: 154,
  existing: 155,
  local_len: 156,
  remote_len: 158,
  prefix: 160,
  prefix_len: 176,
  reset: 178,
  reset_state: 179,
  reserved: 180,
} as const;

export const NET_DATA = {
  connection: 64,
  position: 72,
  operation: 80,
  endpoint: 88,
  total: 136,
  offset: 140,
  len: 144,
  direction: 148,
  content: 149,
  protocol: 150,
  reserved: 151,
} as const;

/** Bytes of each of the two names that follow a net_socket of a unix socket. */
export const UNIX_NAME_BYTES = 108;

export const NET_EVENT = { NET_CONNECT: 1, NET_ACCEPT: 2, NET_BIND: 3, NET_LISTEN: 4, NET_CLOSE: 5, NET_KTLS: 6, NET_PREFIX: 7 } as const;

export const NET_PROTOCOL = { NET_OTHER: 0, NET_TCP: 1, NET_UDP: 2, NET_UNIX: 3 } as const;

export const NET_CONTENT = {
  CONTENT_UNDECIDED: 0,
  CONTENT_HTTP: 1,
  CONTENT_HELLO: 2,
  CONTENT_DNS: 3,
  CONTENT_TLS: 4,
  CONTENT_OTHER: 5,
} as const;

/** Relative to where the endpoint lies in its record. */
export const ENDPOINT = {
  socket: 0,
  family: 8,
  local_port: 10,
  remote_port: 12,
  reserved: 14,
  local: 16,
  remote: 32,
} as const;

export const FILE_CHANGE = {
  file: 64,
  length: 72,
  result: 80,
  flags: 84,
  at_flags: 88,
  mode: 92,
  uid: 96,
  gid: 100,
  path_len: 104,
  base_len: 106,
  target_len: 108,
  target_base_len: 110,
  change: 112,
  created: 113,
  reserved: 114,
} as const;

export const FILE_IO = {
  file: 64,
  inode: 72,
  device: 80,
  first_ns: 88,
  last_ns: 96,
  read_bytes: 104,
  read_calls: 112,
  written_bytes: 120,
  write_calls: 128,
  fd: 136,
  path_len: 140,
} as const;

export const FILE_CHANGE_KIND = {
  FILE_OPEN: 1,
  FILE_TRUNCATE: 2,
  FILE_RENAME: 3,
  FILE_LINK: 4,
  FILE_SYMLINK: 5,
  FILE_UNLINK: 6,
  FILE_MKDIR: 7,
  FILE_RMDIR: 8,
  FILE_CHMOD: 9,
  FILE_CHOWN: 10,
} as const;

export const DIRECTION = { IO_READ: 0, IO_WRITE: 1 } as const;

export const TLS_LIBRARY = {
  TLS_OPENSSL: 1,
  TLS_GNUTLS: 2,
  TLS_NSS: 3,
  TLS_BORINGSSL: 4,
  TLS_RUSTLS: 5,
  TLS_GO: 6,
} as const;

export const COUNTER_SOURCE = { COUNT_PROCESS: 0, COUNT_TLS: 1, COUNT_STDIO: 2, COUNT_FILE: 3, COUNT_NET: 4, COUNT_SIGNAL: 5, COUNT_READLINE: 6 } as const;

/** Values that each source has room for. */
export const COUNTERS_PER_SOURCE = 16;

export const COUNTER = {
  COUNT_DELIVERED: 0,
  COUNT_RING_FULL: 1,
  COUNT_RING_FULL_BYTES: 2,
  COUNT_MAP_FULL: 3,
  COUNT_READ_FAULT: 4,
  COUNT_TRUNCATED_BYTES: 5,
  COUNT_MISSED: 6,
  COUNT_CALLS: 7,
  COUNT_COMPAT: 8,
  COUNT_UNMERGED: 9,
  COUNT_FOREIGN: 10,
  COUNT_LEFT_OUT_BYTES: 11,
} as const;
