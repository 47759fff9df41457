/** A capture through the addon alone: records as the ring held them, no decoder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { CAPTURE_DEFAULTS, launcherPath, loadAddon, type Capture, type CaptureOptions } from '../../src/addon.ts';
import { EXEC, EXIT, FORK, HEADER, RECORD_KIND, SIZE, STDIO, TLS } from '../../src/decode/layout.ts';

export interface RawRecord {
  readonly kind: number;
  readonly flags: number;
  readonly pid: number;
  readonly root: number;
  readonly comm: string;
  readonly startNs: bigint;
  readonly sequence: bigint;
  readonly bytes: Buffer;
}

export interface TestCapture {
  readonly capture: Capture;
  readonly records: RawRecord[];
  /** Runs it under the capture to its end, and waits until its records are here. */
  run(command: readonly string[], options?: RunOptions): Promise<Finished>;
  of(kind: number, pid?: number): RawRecord[];
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to its standard input, which then ends. */
  readonly input?: Buffer;
}

export interface Finished {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
}

const DEFAULTS: CaptureOptions = { ...CAPTURE_DEFAULTS, families: ['process', 'stdio'] };

/** Loaded and started. The caller closes `capture`. */
export function startCapture(options: Partial<CaptureOptions> = {}): TestCapture {
  const capture = loadAddon().openCapture({ ...DEFAULTS, ...options });
  const records: RawRecord[] = [];
  capture.load();
  capture.start((batch) => records.push(...splitBatch(batch)));
  return {
    capture,
    records,
    of: (kind, pid) => records.filter((record) => record.kind === kind && (pid === undefined || record.pid === pid)),
    async run(command, runOptions) {
      const held = hold(command, runOptions);
      capture.trace(held.pid, held.pid);
      const finished = await held.release();
      await capture.drain();
      return finished;
    },
  };
}

export interface HeldProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  release(): Promise<Finished>;
}

/** A command that the launcher holds back. */
export function hold(command: readonly string[], options: RunOptions = {}): HeldProcess {
  const child = spawn(launcherPath(), command, {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the launcher did not start: is the addon built?');
  const output: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stdin?.end(options.input);
  (child.stdio[4] as Readable).resume();
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    pid,
    child,
    async release() {
      (child.stdio[3] as Writable).end('g');
      const [code, signal] = await closed;
      return { pid, code, signal, stdout: Buffer.concat(output) };
    },
  };
}

export function splitBatch(batch: Buffer): RawRecord[] {
  const records: RawRecord[] = [];
  for (let at = 0; at < batch.length;) {
    const size = batch.readUInt32LE(at + HEADER.size);
    const bytes = batch.subarray(at, at + size);
    records.push({
      kind: bytes.readUInt16LE(HEADER.kind),
      flags: bytes.readUInt16LE(HEADER.flags),
      pid: bytes.readUInt32LE(HEADER.pid),
      root: bytes.readUInt32LE(HEADER.root),
      comm: text(bytes.subarray(HEADER.comm, HEADER.comm + 16)),
      startNs: bytes.readBigUInt64LE(HEADER.start_ns),
      sequence: bytes.readBigUInt64LE(HEADER.sequence),
      bytes,
    });
    at += size;
  }
  return records;
}

export const parentOf = ({ bytes, kind }: RawRecord): { pid: number; startNs: bigint } => ({
  pid: bytes.readUInt32LE(kind === RECORD_KIND.RECORD_PROCESS_FORK ? FORK.ppid : kind === RECORD_KIND.RECORD_PROCESS_EXEC ? EXEC.ppid : EXIT.ppid),
  // The same place in all three.
  startNs: bytes.readBigUInt64LE(FORK.parent_start_ns),
});

export function execOf({ bytes }: RawRecord) {
  const filenameEnd = SIZE.process_exec + bytes.readUInt32LE(EXEC.filename_len);
  const cwdEnd = filenameEnd + bytes.readUInt32LE(EXEC.cwd_len);
  const exeEnd = cwdEnd + bytes.readUInt32LE(EXEC.exe_len);
  const cgroupEnd = exeEnd + bytes.readUInt32LE(EXEC.cgroup_len);
  return {
    filename: bytes.toString('utf8', SIZE.process_exec, filenameEnd),
    cwd: bytes.toString('utf8', filenameEnd, cwdEnd),
    exe: bytes.toString('utf8', cwdEnd, exeEnd),
    cgroup: bytes.toString('utf8', exeEnd, cgroupEnd),
    argv: bytes.toString('utf8', cgroupEnd),
    argvTotal: bytes.readUInt32LE(EXEC.argv_total),
    cwdTruncated: bytes.readUInt32LE(EXEC.cwd_truncated),
    gid: bytes.readUInt32LE(EXEC.gid),
  };
}

export const exitOf = ({ bytes }: RawRecord) => ({
  code: bytes.readUInt32LE(EXIT.exit_code),
  signal: bytes.readUInt32LE(EXIT.signal),
  coreDumped: bytes.readUInt32LE(EXIT.core_dumped),
  peakRssBytes: Number(bytes.readBigUInt64LE(EXIT.peak_rss_bytes)),
  cpuMs: Number(bytes.readBigUInt64LE(EXIT.user_ns) + bytes.readBigUInt64LE(EXIT.system_ns)) / 1e6,
  readBytes: Number(bytes.readBigUInt64LE(EXIT.read_bytes)),
  writtenBytes: Number(bytes.readBigUInt64LE(EXIT.written_bytes)),
});

export const stdioOf = ({ bytes }: RawRecord) => ({
  operation: bytes.readBigUInt64LE(STDIO.operation),
  inode: bytes.readBigUInt64LE(STDIO.inode),
  device: bytes.readBigUInt64LE(STDIO.device),
  total: bytes.readUInt32LE(STDIO.total),
  offset: bytes.readUInt32LE(STDIO.offset),
  fd: bytes.readInt32LE(STDIO.fd),
  isWrite: bytes.readUInt8(STDIO.direction) === 1,
  payload: bytes.subarray(SIZE.stdio_data),
});

export const tlsOf = ({ bytes }: RawRecord) => ({
  connection: bytes.readBigUInt64LE(TLS.connection),
  position: Number(bytes.readBigUInt64LE(TLS.position)),
  total: bytes.readUInt32LE(TLS.total),
  offset: bytes.readUInt32LE(TLS.offset),
  isWrite: bytes.readUInt8(TLS.direction) === 1,
  payload: bytes.subarray(SIZE.tls_data),
});

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
