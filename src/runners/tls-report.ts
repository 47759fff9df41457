/**
 * What became of TLS in each traced process: said at the end of a run, so that
 * silence is explained. Kept are the roots, whoever was seen with a TLS library
 * and whoever speaks TLS by whatever library: a shell's thousand helpers without
 * TLS are not worth a line each.
 */
import type { NetEvent, ProcessKey, TlsEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { explainTls, type TlsState } from './tls-explain.ts';
import type { TlsFile } from './tls-files.ts';
import { createGreetings, type Greetings } from './tls-greetings.ts';

export interface TlsReportRow {
  readonly pid: number;
  readonly comm: string;
  readonly process: ProcessKey;
  /** The traced root itself, not a descendant. */
  readonly root: boolean;
  readonly state: TlsState;
  /** It spoke TLS that passed no hook. */
  readonly speaks: boolean;
  /** TLS libraries that it has mapped, and programs with one inside. */
  readonly libraries: readonly string[];
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Why nothing was captured, or not all; null when all was. */
  readonly reason: string | null;
}

/** Whom a state is about; the process table's entries and events both say it. */
export interface Reported {
  readonly pid: number;
  readonly comm: string;
  readonly key: ProcessKey;
  readonly session: ProcessKey | null;
}

/** Of a process that spoke TLS unseen: told once, while the run goes on. */
export interface UnseenTls {
  readonly reported: Reported;
  readonly state: TlsState;
  readonly reason: string;
  /** Its program, where that is known. */
  readonly program: string | null;
  readonly files: readonly TlsFile[];
}

export interface TlsReport {
  /** A traced root is in the report even when nothing is found. `program` is what it has begun to execute. */
  root(process: Reported, program: string | null): void;
  library(process: Reported, file: TlsFile): void;
  /** The child has mapped what its parent has. */
  fork(parent: ProcessKey, child: ProcessKey): void;
  /** What it has mapped, late enough for its libraries to be there, or at least its program file was looked at. */
  seen(process: ProcessKey, what: 'libraries' | 'program'): void;
  /** Roots that brought no byte and of which nothing was seen yet: they may have ended too soon. */
  unseen(): readonly UnseenRoot[];
  tls(event: TlsEvent): void;
  /** True when the process speaks TLS and nothing is known of a library in it. */
  net(event: NetEvent): boolean;
  /** What it runs, where it is no root. */
  program(process: ProcessKey, path: string): void;
  filesOf(process: ProcessKey): ReadonlySet<TlsFile>;
  /** Those whose greeting is old enough, or all at the end of a run; each once. */
  takeUnseen(nowMs: number, all: boolean): readonly UnseenTls[];
  rows(): readonly TlsReportRow[];
  /** Processes beyond the limit of rows. */
  readonly omitted: number;
  /** Connections of one process that were too many to remember. */
  readonly forgottenGreetings: number;
}

export interface UnseenRoot extends Reported {
  readonly program: string;
}

interface State {
  readonly reported: Reported;
  comm: string;
  readonly files: Set<TlsFile>;
  readonly greetings: Greetings;
  program: string | null;
  seen: 'libraries' | 'program' | 'nothing';
  readBytes: number;
  writtenBytes: number;
  /** When its first greeting came here, by our own clock. */
  greetedMs: number | null;
  isTold: boolean;
}

const NO_FILES: ReadonlySet<TlsFile> = new Set();

export function createTlsReport(): TlsReport {
  const states = new Map<ProcessKey, State>();
  /** Files of forked processes that have no state of their own. */
  const inherited = new Map<ProcessKey, ReadonlySet<TlsFile>>();
  const omitted = new Set<ProcessKey>();

  function stateOf(reported: Reported, matters = false): State | null {
    const present = states.get(reported.key);
    if (present !== undefined) {
      present.comm = reported.comm;
      return present;
    }
    if (states.size >= LIMITS.tlsReportRows && !(matters && makeRoom())) {
      if (omitted.size < LIMITS.processes) omitted.add(reported.key);
      return null;
    }
    const state: State = {
      reported, comm: reported.comm, files: new Set(inherited.get(reported.key)), greetings: createGreetings(),
      program: null, seen: 'nothing', readBytes: 0, writtenBytes: 0, greetedMs: null, isTold: false,
    };
    inherited.delete(reported.key);
    states.set(reported.key, state);
    return state;
  }

  /** A process that speaks TLS unseen is worth more than one that only could. */
  function makeRoom(): boolean {
    for (const [key, { reported, greetedMs }] of states) {
      if (reported.session === key || greetedMs !== null) continue;
      states.delete(key);
      omitted.add(key);
      return true;
    }
    return false;
  }

  function fork(parent: ProcessKey, child: ProcessKey): void {
    const files = states.get(parent)?.files ?? inherited.get(parent);
    if (files === undefined || files.size === 0 || inherited.size >= LIMITS.processes) return;
    inherited.set(child, files);
  }

  function tls(event: TlsEvent): void {
    const { data, pid, comm, process, session } = event;
    if (process === null) return;
    const state = states.get(process) ?? (data.event === 'CLOSE' ? null : stateOf({ pid, comm, key: process, session }));
    if (state === null) return;
    state.greetings.heard(event);
    if (data.event !== 'DATA') return;
    if (data.direction === 'read') state.readBytes += data.len;
    else state.writtenBytes += data.len;
  }

  function net({ data, timestamp, pid, comm, process, session }: NetEvent): boolean {
    if (process === null) return false;
    if (data.event === 'CLOSE') states.get(process)?.greetings.closed(data.endpoint.socket);
    if (data.event === 'KTLS' && data.error === null) stateOf({ pid, comm, key: process, session }, true)?.greetings.sealed(data.endpoint);
    if (data.event !== 'HELLO') return false;
    const state = stateOf({ pid, comm, key: process, session }, true);
    if (state === null) return false;
    state.greetings.greeted(data, timestamp);
    state.greetedMs ??= performance.now();
    return state.files.size === 0;
  }

  function takeUnseen(nowMs: number, all: boolean): UnseenTls[] {
    const found: UnseenTls[] = [];
    for (const state of states.values()) {
      const { greetedMs, isTold, greetings, reported, comm, program, files } = state;
      if (greetedMs === null || isTold || !(all || nowMs - greetedMs >= LIMITS.tlsUnseenMs)) continue;
      const { state: outcome, reason } = explain(state);
      if (reason === null || greetings.unheard().length === 0) continue;
      state.isTold = true;
      found.push({ reported: { ...reported, comm }, state: outcome, reason, program, files: [...files] });
    }
    return found;
  }

  return {
    root(process, program) {
      inherited.delete(process.key);
      const state = stateOf(process);
      if (state === null) return;
      state.program = program;
      state.seen = 'nothing';
    },
    library: (process, file) => void stateOf(process)?.files.add(file),
    fork,
    seen(process, what) {
      const state = states.get(process);
      if (state !== undefined) state.seen = what;
    },
    unseen: () => [...states.values()].flatMap((state) => {
      const { reported, comm, program, seen } = state;
      return program !== null && seen === 'nothing' && bytesOf(state) === 0 ? [{ ...reported, comm, program }] : [];
    }),
    tls,
    net,
    program(process, path) {
      const state = states.get(process);
      if (state !== undefined) state.program ??= path;
    },
    filesOf: (process) => states.get(process)?.files ?? inherited.get(process) ?? NO_FILES,
    takeUnseen,
    rows: () => [...states.values()].map(rowOf),
    get omitted() {
      return omitted.size;
    },
    get forgottenGreetings() {
      return [...states.values()].reduce((sum, { greetings }) => sum + greetings.forgotten, 0);
    },
  };
}

function explain(state: State): ReturnType<typeof explainTls> {
  return explainTls({ files: state.files, seen: state.seen, greetings: state.greetings, bytes: bytesOf(state) });
}

function rowOf(state: State): TlsReportRow {
  return {
    pid: state.reported.pid,
    comm: state.comm,
    process: state.reported.key,
    root: state.reported.key === state.reported.session,
    ...explain(state),
    speaks: state.greetings.unheard().length > 0 || state.greetings.inKernel !== null,
    libraries: Array.from(state.files, (file) => file.path),
    readBytes: state.readBytes,
    writtenBytes: state.writtenBytes,
  };
}

function bytesOf({ readBytes, writtenBytes }: State): number {
  return readBytes + writtenBytes;
}
