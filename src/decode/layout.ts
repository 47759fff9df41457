/**
 * Where each field of a record lies: the mirror of bpf/event.h, compared with
 * it field by field in test/unit/decode-layout.test.ts.
 */

export const RECORD_KIND = {
  RECORD_PROCESS_FORK: 1,
  RECORD_PROCESS_EXEC: 2,
  RECORD_PROCESS_EXIT: 3,
  RECORD_TLS_DATA: 16,
  RECORD_TLS_CLOSE: 17,
  RECORD_STDIO_DATA: 32,
} as const;

export const RECORD_FLAG = {
  RECORD_TRUNCATED: 0x0001,
  RECORD_READ_FAULT: 0x0002,
  RECORD_MAXRSS_UPPER_BOUND: 0x0004,
} as const;

/** Whole structs in bytes; variable parts follow. */
export const SIZE = {
  record_header: 64,
  process_fork: 80,
  process_exec: 104,
  process_exit: 112,
  tls_data: 104,
  tls_close: 72,
  stdio_data: 112,
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
  reserved: 100,
} as const;

export const EXIT = {
  parent_start_ns: 64,
  peak_rss_bytes: 72,
  user_ns: 80,
  system_ns: 88,
  ppid: 96,
  exit_code: 100,
  signal: 104,
  core_dumped: 108,
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
} as const;

export const STDIO = {
  operation: 64,
  inode: 72,
  device: 80,
  total: 88,
  offset: 92,
  len: 96,
  fd: 100,
  mode: 104,
  direction: 108,
  reserved: 109,
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

export const COUNTER_SOURCE = { COUNT_PROCESS: 0, COUNT_TLS: 1, COUNT_STDIO: 2 } as const;

export const COUNTER = {
  COUNT_DELIVERED: 0,
  COUNT_RING_FULL: 1,
  COUNT_RING_FULL_BYTES: 2,
  COUNT_MAP_FULL: 3,
  COUNT_READ_FAULT: 4,
  COUNT_TRUNCATED_BYTES: 5,
  COUNT_MISSED: 6,
  COUNT_CALLS: 7,
} as const;
