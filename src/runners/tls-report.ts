/**
 * What became of TLS in each traced process: said at the end of a run, so that
 * silence is explained. Kept are the roots and whoever was seen with TLS: a
 * shell's thousand helpers without TLS are not worth a line each.
 */
import { assertUnreachable, type ProcessKey, type TlsEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import type { TlsFile } from './tls-files.ts';

export interface TlsReportRow {
  readonly pid: number;
  readonly comm: string;
  readonly process: ProcessKey;
  /** The traced root itself, not a descendant. */
  readonly root: boolean;
  /**
   * captured: bytes were seen. silent: hooked, but nothing passed. unsupported,
   * failed: its library is known but not hooked. none: no TLS library was found.
   */
  readonly state: 'captured' | 'silent' | 'unsupported' | 'failed' | 'none';
  /** TLS libraries that it has mapped, and programs with one inside. */
  readonly libraries: readonly string[];
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Why nothing was captured; null when something was. */
  readonly reason: string | null;
}

/** Whom a state is about; the process table's entries and events both say it. */
export interface Reported {
  readonly pid: number;
  readonly comm: string;
  readonly key: ProcessKey;
  readonly session: ProcessKey | null;
}

export interface TlsReport {
  /** A traced root is in the report even when nothing is found. `program` is what it has begun to execute. */
  root(process: Reported, program: string | null): void;
  library(process: Reported, file: TlsFile): void;
  /** What it has mapped, late enough for its libraries to be there, or at least its program file was looked at. */
  seen(process: ProcessKey, what: 'libraries' | 'program'): void;
  /** Roots that brought no byte and of which nothing was seen yet: they may have ended too soon. */
  unseen(): readonly UnseenRoot[];
  chunk(event: TlsEvent): void;
  rows(): readonly TlsReportRow[];
  /** Processes beyond the limit of rows. */
  readonly omitted: number;
}

export interface UnseenRoot extends Reported {
  readonly program: string;
}

interface State {
  readonly reported: Reported;
  comm: string;
  readonly files: Set<TlsFile>;
  program: string | null;
  seen: 'libraries' | 'program' | 'nothing';
  readBytes: number;
  writtenBytes: number;
}

export function createTlsReport(): TlsReport {
  const states = new Map<ProcessKey, State>();
  const omitted = new Set<ProcessKey>();

  function stateOf(reported: Reported): State | null {
    const present = states.get(reported.key);
    if (present !== undefined) {
      present.comm = reported.comm;
      return present;
    }
    if (states.size >= LIMITS.tlsReportRows) {
      if (omitted.size < LIMITS.processes) omitted.add(reported.key);
      return null;
    }
    const state: State = { reported, comm: reported.comm, files: new Set<TlsFile>(), program: null, seen: 'nothing', readBytes: 0, writtenBytes: 0 };
    states.set(reported.key, state);
    return state;
  }

  return {
    root(process, program) {
      const state = stateOf(process);
      if (state === null) return;
      state.program = program;
      state.seen = 'nothing';
    },
    library: (process, file) => void stateOf(process)?.files.add(file),
    seen(process, what) {
      const state = states.get(process);
      if (state !== undefined) state.seen = what;
    },
    unseen: () => [...states.values()].flatMap((state) => {
      const { reported, comm, program, seen } = state;
      return program !== null && seen === 'nothing' && bytesOf(state) === 0 ? [{ ...reported, comm, program }] : [];
    }),
    chunk({ data, pid, comm, process, session }) {
      if (data.event !== 'DATA' || process === null) return;
      const state = states.get(process) ?? stateOf({ pid, comm, key: process, session });
      if (state === null) return;
      if (data.direction === 'read') state.readBytes += data.len;
      else state.writtenBytes += data.len;
    },
    rows: () => [...states.values()].map(rowOf),
    get omitted() {
      return omitted.size;
    },
  };
}

function rowOf(state: State): TlsReportRow {
  const { state: outcome, reason } = bytesOf(state) > 0 ? { state: 'captured', reason: null } as const : explain(state);
  return {
    pid: state.reported.pid,
    comm: state.comm,
    process: state.reported.key,
    root: state.reported.key === state.reported.session,
    state: outcome,
    libraries: Array.from(state.files, (file) => file.path),
    readBytes: state.readBytes,
    writtenBytes: state.writtenBytes,
    reason,
  };
}

function bytesOf({ readBytes, writtenBytes }: State): number {
  return readBytes + writtenBytes;
}

/** Why a process with these libraries brought no byte. */
function explain({ files, seen }: State): { state: TlsReportRow['state']; reason: string } {
  const having = (wanted: TlsFile['state']): TlsFile | undefined => [...files].find((file) => file.state === wanted);
  const failed = having('failed');
  if (failed !== undefined) return { state: 'failed', reason: `could not hook ${failed.path}: ${failed.reason}` };
  const unsupported = having('unsupported');
  if (having('attached') !== undefined) {
    // curl has GnuTLS mapped for RTMP: which one it would have used is not known.
    const other = unsupported === undefined ? '' : `; it also has ${unsupported.path}: ${unsupported.reason}`;
    return { state: 'silent', reason: `its TLS library is hooked, but no TLS read or write succeeded while it was traced${other}` };
  }
  if (unsupported !== undefined) return { state: 'unsupported', reason: `${unsupported.path}: ${unsupported.reason}` };
  switch (seen) {
    case 'libraries':
      return { state: 'none', reason: 'no TLS library found' };
    case 'program':
      return { state: 'none', reason: 'its program file asks for no TLS library, and it ended before what it had loaded could be looked at' };
    case 'nothing':
      return { state: 'none', reason: 'it ended before it could be looked at' };
    default:
      return assertUnreachable(seen);
  }
}
