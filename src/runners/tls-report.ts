/**
 * What became of TLS in each traced process: said at the end of a run, so that
 * silence is explained. Kept are the roots and whoever was seen with TLS: a
 * shell's thousand helpers without TLS are not worth a line each.
 */
import type { ProcessKey, TlsEvent } from '../event.ts';
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
  /** A traced root is in the report even when nothing is found. */
  root(process: Reported): void;
  library(process: Reported, file: TlsFile): void;
  chunk(event: TlsEvent): void;
  rows(): readonly TlsReportRow[];
  /** Processes beyond the limit of rows. */
  readonly omitted: number;
}

interface State {
  readonly reported: Reported;
  comm: string;
  readonly files: Set<TlsFile>;
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
    const state = { reported, comm: reported.comm, files: new Set<TlsFile>(), readBytes: 0, writtenBytes: 0 };
    states.set(reported.key, state);
    return state;
  }

  return {
    root: (process) => void stateOf(process),
    library: (process, file) => void stateOf(process)?.files.add(file),
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
  const files = [...state.files];
  const captured = state.readBytes + state.writtenBytes > 0;
  const { state: outcome, reason } = captured ? { state: 'captured', reason: null } as const : explain(files);
  return {
    pid: state.reported.pid,
    comm: state.comm,
    process: state.reported.key,
    root: state.reported.key === state.reported.session,
    state: outcome,
    libraries: files.map((file) => file.path),
    readBytes: state.readBytes,
    writtenBytes: state.writtenBytes,
    reason,
  };
}

/** Why a process with these libraries brought no byte. */
function explain(files: readonly TlsFile[]): { state: TlsReportRow['state']; reason: string } {
  const failed = files.find((file) => file.state === 'failed');
  if (failed !== undefined) return { state: 'failed', reason: `could not hook ${failed.path}: ${failed.reason}` };
  const unsupported = files.find((file) => file.state === 'unsupported');
  if (unsupported !== undefined) return { state: 'unsupported', reason: `${unsupported.path}: ${unsupported.reason}` };
  if (files.some((file) => file.state === 'attached')) {
    return { state: 'silent', reason: 'its TLS library is hooked, but no TLS read or write succeeded while it was traced' };
  }
  return { state: 'none', reason: 'no TLS library found' };
}
