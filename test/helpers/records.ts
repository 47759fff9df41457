/** Builds records of bpf/event.h by hand, for tests of the decoder. */
import {
  ENDPOINT, EXEC, EXIT, FORK, HEADER, IO_NOT_COUNTED, READLINE, RECORD_KIND, SIGNAL, SIZE, STDIO, TLS, TLS_CLOSE, TLS_ENDPOINT,
  TLS_HANDSHAKE,
} from '../../src/decode/layout.ts';

export interface HeaderFields {
  readonly pid: number;
  readonly tid?: number;
  readonly root?: number;
  readonly startNs?: bigint;
  readonly timeNs?: bigint;
  readonly uid?: number;
  readonly comm?: string;
  readonly flags?: number;
  readonly cpu?: number;
  readonly number?: number;
}

export function record(kind: number, bytes: number, fields: HeaderFields): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUInt32LE(bytes, HEADER.size);
  buffer.writeUInt16LE(kind, HEADER.kind);
  buffer.writeUInt16LE(fields.flags ?? 0, HEADER.flags);
  buffer.writeBigUInt64LE(fields.timeNs ?? 5_000_000_000n, HEADER.time_ns);
  buffer.writeBigUInt64LE(fields.startNs ?? 1_234_567_890n, HEADER.start_ns);
  buffer.writeUInt32LE(fields.pid, HEADER.pid);
  buffer.writeUInt32LE(fields.tid ?? fields.pid, HEADER.tid);
  buffer.writeUInt32LE(fields.root ?? fields.pid, HEADER.root);
  buffer.writeUInt32LE(fields.uid ?? 0, HEADER.uid);
  buffer.write(fields.comm ?? 'program', HEADER.comm, 16, 'utf8');
  buffer.writeBigUInt64LE((BigInt(fields.cpu ?? 0) << 48n) | BigInt(fields.number ?? 0), HEADER.sequence);
  return buffer;
}

export function forkRecord(fields: HeaderFields & { readonly ppid: number; readonly parentStartNs: bigint }): Buffer {
  const buffer = record(RECORD_KIND.RECORD_PROCESS_FORK, SIZE.process_fork, fields);
  buffer.writeUInt32LE(fields.ppid, FORK.ppid);
  buffer.writeBigUInt64LE(fields.parentStartNs, FORK.parent_start_ns);
  return buffer;
}

export interface ExecFields extends HeaderFields {
  readonly filename: string;
  readonly cwd: string;
  readonly exe?: string;
  readonly cgroup?: string;
  readonly argv: string;
}

export function execRecord(fields: ExecFields): Buffer {
  const texts = [fields.filename, fields.cwd, fields.exe ?? '', fields.cgroup ?? '', fields.argv].map((text) => Buffer.from(text));
  const buffer = record(RECORD_KIND.RECORD_PROCESS_EXEC, SIZE.process_exec, fields);
  buffer.writeUInt32LE(1, EXEC.ppid);
  buffer.writeUInt32LE(7, EXEC.gid);
  buffer.writeUInt32LE(texts[0]!.length, EXEC.filename_len);
  buffer.writeUInt32LE(texts[1]!.length, EXEC.cwd_len);
  buffer.writeUInt32LE(texts[2]!.length, EXEC.exe_len);
  buffer.writeUInt32LE(texts[3]!.length, EXEC.cgroup_len);
  buffer.writeUInt32LE(texts[4]!.length, EXEC.argv_len);
  buffer.writeUInt32LE(texts[4]!.length, EXEC.argv_total);
  return resized(Buffer.concat([buffer, ...texts]));
}

export function exitRecord(fields: HeaderFields & { readonly exitCode?: number; readonly signal?: number; readonly readBytes?: bigint }): Buffer {
  const buffer = record(RECORD_KIND.RECORD_PROCESS_EXIT, SIZE.process_exit, fields);
  buffer.writeUInt32LE(fields.exitCode ?? 0, EXIT.exit_code);
  buffer.writeUInt32LE(fields.signal ?? 0, EXIT.signal);
  buffer.writeBigUInt64LE(4096n, EXIT.peak_rss_bytes);
  buffer.writeBigUInt64LE(1_500_000n, EXIT.user_ns);
  buffer.writeBigUInt64LE(fields.readBytes ?? IO_NOT_COUNTED, EXIT.read_bytes);
  buffer.writeBigUInt64LE(500_000n, EXIT.system_ns);
  return buffer;
}

export interface ChunkFields extends HeaderFields {
  readonly payload: Buffer;
  readonly write?: boolean;
  readonly total?: number;
  readonly offset?: number;
}

export function stdioRecord(
  fields: ChunkFields & { readonly fd: number; readonly mode: number; readonly inode: bigint; readonly device?: number; readonly peer?: number },
): Buffer {
  const buffer = record(RECORD_KIND.RECORD_STDIO_DATA, SIZE.stdio_data, fields);
  buffer.writeBigUInt64LE(fields.inode, STDIO.inode);
  buffer.writeBigUInt64LE(BigInt(fields.device ?? 0), STDIO.device);
  buffer.writeBigUInt64LE(BigInt(fields.peer ?? 0), STDIO.peer);
  buffer.writeUInt32LE(fields.total ?? fields.payload.length, STDIO.total);
  buffer.writeUInt32LE(fields.offset ?? 0, STDIO.offset);
  buffer.writeUInt32LE(fields.payload.length, STDIO.len);
  buffer.writeInt32LE(fields.fd, STDIO.fd);
  buffer.writeUInt32LE(fields.mode, STDIO.mode);
  buffer.writeUInt8(fields.write === false ? 0 : 1, STDIO.direction);
  return resized(Buffer.concat([buffer, fields.payload]));
}

export function signalRecord(
  fields: HeaderFields & { readonly signal: number; readonly outcome?: number; readonly error?: number; readonly senderPid?: number; readonly targetPid: number; readonly targetStartNs?: bigint },
): Buffer {
  const buffer = record(RECORD_KIND.RECORD_SIGNAL, SIZE.signal_sent, fields);
  buffer.writeBigUInt64LE(fields.senderPid === undefined ? 0n : 10_000_000n, SIGNAL.sender_start_ns);
  buffer.writeBigUInt64LE(fields.targetStartNs ?? 0n, SIGNAL.target_start_ns);
  buffer.writeUInt32LE(fields.senderPid ?? 0, SIGNAL.sender_pid);
  buffer.writeInt32LE(fields.targetPid, SIGNAL.target_pid);
  buffer.writeInt32LE(fields.signal, SIGNAL.number);
  buffer.writeUInt32LE(fields.error ?? 0, SIGNAL.error);
  buffer.writeUInt32LE(fields.outcome ?? 0, SIGNAL.outcome);
  buffer.write('sender', SIGNAL.sender_comm);
  // No NUL: as long as a name can be.
  buffer.write('sixteen-is-full!', SIGNAL.target_comm);
  return buffer;
}

export function readlineRecord(fields: HeaderFields & { readonly line: Buffer; readonly len?: number }): Buffer {
  const buffer = record(RECORD_KIND.RECORD_READLINE, SIZE.readline_data, fields);
  buffer.writeUInt32LE(fields.line.length, READLINE.total);
  buffer.writeUInt32LE(fields.len ?? fields.line.length, READLINE.len);
  return resized(Buffer.concat([buffer, fields.line]));
}

export function tlsRecord(fields: ChunkFields & { readonly connection: bigint; readonly position?: bigint }): Buffer {
  const buffer = record(RECORD_KIND.RECORD_TLS_DATA, SIZE.tls_data, fields);
  buffer.writeBigUInt64LE(fields.connection, TLS.connection);
  buffer.writeBigUInt64LE(fields.position ?? 0n, TLS.position);
  buffer.writeUInt32LE(fields.total ?? fields.payload.length, TLS.total);
  buffer.writeUInt32LE(fields.offset ?? 0, TLS.offset);
  buffer.writeUInt32LE(fields.payload.length, TLS.len);
  buffer.writeUInt8(fields.write === false ? 0 : 1, TLS.direction);
  buffer.writeUInt8(1, TLS.library);
  return resized(Buffer.concat([buffer, fields.payload]));
}

export function tlsCloseRecord(fields: HeaderFields & { readonly connection: bigint }): Buffer {
  const buffer = record(RECORD_KIND.RECORD_TLS_CLOSE, SIZE.tls_close, fields);
  buffer.writeBigUInt64LE(fields.connection, TLS_CLOSE.connection);
  return buffer;
}

/** Between 127.0.0.1:4000 and 10.0.0.2:443. */
export function tlsEndpointRecord(
  fields: HeaderFields & { readonly connection: bigint; readonly socket: bigint; readonly evidence: number; readonly family?: number },
): Buffer {
  const buffer = record(RECORD_KIND.RECORD_TLS_ENDPOINT, SIZE.tls_endpoint, fields);
  buffer.writeBigUInt64LE(fields.connection, TLS_ENDPOINT.connection);
  buffer.writeUInt32LE(fields.evidence, TLS_ENDPOINT.evidence);
  const endpoint = buffer.subarray(TLS_ENDPOINT.endpoint);
  endpoint.writeBigUInt64LE(fields.socket, ENDPOINT.socket);
  endpoint.writeUInt16LE(fields.family ?? 2, ENDPOINT.family);
  endpoint.writeUInt16LE(4000, ENDPOINT.local_port);
  endpoint.writeUInt16LE(443, ENDPOINT.remote_port);
  endpoint.set([127, 0, 0, 1], ENDPOINT.local);
  endpoint.set([10, 0, 0, 2], ENDPOINT.remote);
  return buffer;
}

export function tlsHandshakeRecord(
  fields: HeaderFields & { readonly connection: bigint; readonly latencyNs: bigint; readonly ok: boolean; readonly library: number },
): Buffer {
  const buffer = record(RECORD_KIND.RECORD_TLS_HANDSHAKE, SIZE.tls_handshake, fields);
  buffer.writeBigUInt64LE(fields.connection, TLS_HANDSHAKE.connection);
  buffer.writeBigUInt64LE(fields.latencyNs, TLS_HANDSHAKE.latency_ns);
  buffer.writeUInt8(fields.ok ? 1 : 0, TLS_HANDSHAKE.ok);
  buffer.writeUInt8(fields.library, TLS_HANDSHAKE.library);
  return buffer;
}

function resized(buffer: Buffer): Buffer {
  buffer.writeUInt32LE(buffer.length, HEADER.size);
  return buffer;
}
