/** Records of the process family: fork, exec, exit. */
import type { ProcessEvent, ProcessData } from '../event.ts';
import type { Identity } from '../identity.ts';
import type { BootClock } from '../time.ts';
import type { RecordView } from './record.ts';
import { EXEC, EXIT, FORK, HEADER, RECORD_FLAG, SIZE } from './layout.ts';
import { signalName } from './signals.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
}

export function decodeFork(record: RecordView, context: Context): ProcessEvent {
  const { view, offset } = record;
  const ppid = view.getUint32(offset + FORK.ppid, true);
  const parent = context.identity.processKey(view.getBigUint64(offset + FORK.parent_start_ns, true), ppid);
  return processEvent(record, context, { event: 'FORK', ppid, parent });
}

/** null when the lengths of its texts do not fit into the record. */
export function decodeExec(record: RecordView, context: Context): ProcessEvent | null {
  const { batch, view, offset, size } = record;
  const filenameEnd = SIZE.process_exec + view.getUint32(offset + EXEC.filename_len, true);
  const cwdEnd = filenameEnd + view.getUint32(offset + EXEC.cwd_len, true);
  const argvEnd = cwdEnd + view.getUint32(offset + EXEC.argv_len, true);
  if (argvEnd > size) return null;
  const ppid = view.getUint32(offset + EXEC.ppid, true);
  const flags = view.getUint16(offset + HEADER.flags, true);
  return processEvent(record, context, {
    event: 'EXEC',
    ppid,
    parent: context.identity.processKey(view.getBigUint64(offset + EXEC.parent_start_ns, true), ppid),
    filename: batch.toString('utf8', offset + SIZE.process_exec, offset + filenameEnd),
    argv: splitArgv(batch.toString('utf8', offset + cwdEnd, offset + argvEnd)),
    cwd: batch.toString('utf8', offset + filenameEnd, offset + cwdEnd),
    uid: view.getUint32(offset + HEADER.uid, true),
    gid: view.getUint32(offset + EXEC.gid, true),
    truncated: (flags & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
    existing: false,
  });
}

/** Each argument ends in a NUL, so that an empty last one is kept; a cut text ends without. */
export function splitArgv(text: string): string[] {
  if (text === '') return [];
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

export function decodeExit(record: RecordView, context: Context): ProcessEvent {
  const { view, offset } = record;
  const signal = view.getUint32(offset + EXIT.signal, true);
  const flags = view.getUint16(offset + HEADER.flags, true);
  const livedNs = view.getBigUint64(offset + HEADER.time_ns, true) - view.getBigUint64(offset + HEADER.start_ns, true);
  return processEvent(record, context, {
    event: 'EXIT',
    ppid: view.getUint32(offset + EXIT.ppid, true),
    exit_code: signal === 0 ? view.getUint32(offset + EXIT.exit_code, true) : null,
    signal: signal === 0 ? null : signalName(signal),
    core_dumped: view.getUint32(offset + EXIT.core_dumped, true) !== 0,
    duration_ms: Number(livedNs) / 1e6,
    peak_rss_bytes: Number(view.getBigUint64(offset + EXIT.peak_rss_bytes, true)),
    peak_rss_upper_bound: (flags & RECORD_FLAG.RECORD_MAXRSS_UPPER_BOUND) !== 0,
    user_ms: Number(view.getBigUint64(offset + EXIT.user_ns, true)) / 1e6,
    system_ms: Number(view.getBigUint64(offset + EXIT.system_ns, true)) / 1e6,
  });
}

function processEvent(record: RecordView, context: Context, data: ProcessData): ProcessEvent {
  const { view, offset, process } = record;
  return {
    timestamp: context.clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
    source: 'process',
    pid: process.pid,
    comm: process.comm,
    data,
    id: context.identity.nextId(),
    process: process.key,
    session: process.session,
  };
}
