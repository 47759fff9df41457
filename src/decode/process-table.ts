/**
 * Every traced process by pid: its key, name, session and what its
 * descriptors point to. Interned, so that the thousandth record of a process
 * costs one comparison instead of five strings.
 *
 * An entry belongs to one start time. A record with another start is another
 * process that was given the same pid, and gets an entry of its own.
 */
import type { ProcessKey } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { COMM_BYTES, HEADER } from './layout.ts';
import type { Ends } from './peer.ts';

/** What a descriptor pointed to when it was last asked. */
export interface Descriptor {
  readonly inodeLow: number;
  readonly inodeHigh: number;
  readonly device: number;
  /** As the record has it: which its other end is. */
  readonly peer: number;
  readonly text: string;
  readonly ends: Ends | null;
}

/** Owned by the table; readers take it as it is now. */
export interface ProcessEntry {
  readonly pid: number;
  readonly key: ProcessKey;
  readonly comm: string;
  /** Key of the root that it descends from. */
  readonly session: ProcessKey | null;
  readonly root: number;
  readonly exited: boolean;
  readonly descriptors: Map<number, Descriptor>;
}

/** A process that ran before the trace began, as /proc tells it. */
export interface SeenProcess {
  readonly pid: number;
  readonly startTicks: bigint;
  readonly comm: string;
  readonly root: number;
}

export interface ProcessTable {
  /** The process of the record whose header starts at `offset`. */
  entryAt(view: DataView, offset: number): ProcessEntry;
  adopt(seen: SeenProcess): ProcessEntry;
  get(pid: number): ProcessEntry | undefined;
  /** Marks it as ended: it is forgotten some thousand exits later. */
  retire(entry: ProcessEntry): void;
  /** Processes not known to have ended. */
  live(): Iterable<ProcessEntry>;
  readonly liveCount: number;
  counters(): Readonly<Record<string, number>>;
}

/** The four words of `comm`, and the two of the start, are kept to compare records without making strings. */
interface MutableEntry {
  pid: number;
  key: ProcessKey;
  comm: string;
  session: ProcessKey | null;
  root: number;
  exited: boolean;
  descriptors: Map<number, Descriptor>;
  startLow: number;
  startHigh: number;
  comm0: number;
  comm1: number;
  comm2: number;
  comm3: number;
}

/** No start time: the first record whose key agrees fills it in. */
const START_UNKNOWN = -1;

export function createProcessTable(identity: Identity): ProcessTable {
  const byPid = new Map<number, MutableEntry>();
  const sessions = new Map<number, ProcessKey>();
  const exited: MutableEntry[] = [];
  const counters = new Counters(['forgotten_live', 'forgotten_exited', 'forgotten_sessions']);
  let liveCount = 0;
  let last: MutableEntry | null = null;

  function entryAt(view: DataView, offset: number): ProcessEntry {
    const pid = view.getUint32(offset + HEADER.pid, true);
    const entry = last !== null && last.pid === pid ? last : byPid.get(pid);
    const known = entry !== undefined && startsAt(entry, view, offset) ? entry : enter(view, offset, pid, entry);
    last = known;
    if (known.root !== view.getUint32(offset + HEADER.root, true)) setRoot(known, view.getUint32(offset + HEADER.root, true));
    if (!hasComm(known, view, offset)) setComm(known, view, offset);
    return known;
  }

  /** The slow path: a process seen for the first time, or one adopted from /proc. */
  function enter(view: DataView, offset: number, pid: number, present: MutableEntry | undefined): MutableEntry {
    const key = identity.processKey(view.getBigUint64(offset + HEADER.start_ns, true), pid);
    const entry = present?.key === key ? present : insert(pid, key);
    entry.startLow = view.getUint32(offset + HEADER.start_ns, true);
    entry.startHigh = view.getUint32(offset + HEADER.start_ns + 4, true);
    return entry;
  }

  function insert(pid: number, key: ProcessKey): MutableEntry {
    const previous = byPid.get(pid);
    // Its exit was lost, or the pid would not have been given out again.
    if (previous !== undefined && !previous.exited) {
      previous.exited = true;
      liveCount--;
    }
    byPid.delete(pid);
    if (byPid.size >= LIMITS.processes + LIMITS.exitedProcesses) forgetOldest();
    const entry: MutableEntry = {
      pid, key, comm: '', session: null, root: 0, exited: false, descriptors: new Map(),
      startLow: START_UNKNOWN, startHigh: START_UNKNOWN, comm0: 0, comm1: 0, comm2: 0, comm3: 0,
    };
    byPid.set(pid, entry);
    liveCount++;
    return entry;
  }

  function forgetOldest(): void {
    const oldest = byPid.values().next().value;
    if (oldest === undefined) return;
    byPid.delete(oldest.pid);
    if (oldest.exited) return;
    oldest.exited = true;
    liveCount--;
    counters.add('forgotten_live');
  }

  function setRoot(entry: MutableEntry, root: number): void {
    entry.root = root;
    if (root === entry.pid) {
      sessions.delete(root);
      sessions.set(root, entry.key);
      if (sessions.size > LIMITS.sessions) {
        sessions.delete(sessions.keys().next().value ?? root);
        counters.add('forgotten_sessions');
      }
    }
    entry.session = sessions.get(root) ?? null;
  }

  function adopt(seen: SeenProcess): ProcessEntry {
    const key = identity.processKeyOfTicks(seen.startTicks, seen.pid);
    const present = byPid.get(seen.pid);
    const entry = present?.key === key ? present : insert(seen.pid, key);
    entry.comm = seen.comm;
    setRoot(entry, seen.root);
    return entry;
  }

  function retire(entry: ProcessEntry): void {
    const present = byPid.get(entry.pid);
    if (present === undefined || present.key !== entry.key || present.exited) return;
    present.exited = true;
    present.descriptors.clear();
    liveCount--;
    exited.push(present);
    if (exited.length <= LIMITS.exitedProcesses) return;
    // Half at once, so that shifting the queue is not paid for at every exit.
    for (const old of exited.splice(0, LIMITS.exitedProcesses / 2)) {
      if (byPid.get(old.pid) === old) {
        byPid.delete(old.pid);
        counters.add('forgotten_exited');
      }
      if (last === old) last = null;
    }
  }

  function* live(): Iterable<ProcessEntry> {
    for (const entry of byPid.values()) if (!entry.exited) yield entry;
  }

  return {
    entryAt,
    adopt,
    get: (pid) => byPid.get(pid),
    retire,
    live,
    get liveCount() {
      return liveCount;
    },
    counters: () => counters.snapshot(),
  };
}

function startsAt(entry: MutableEntry, view: DataView, offset: number): boolean {
  return entry.startLow === view.getUint32(offset + HEADER.start_ns, true)
    && entry.startHigh === view.getUint32(offset + HEADER.start_ns + 4, true);
}

function hasComm(entry: MutableEntry, view: DataView, offset: number): boolean {
  const at = offset + HEADER.comm;
  return entry.comm0 === view.getUint32(at, true)
    && entry.comm1 === view.getUint32(at + 4, true)
    && entry.comm2 === view.getUint32(at + 8, true)
    && entry.comm3 === view.getUint32(at + 12, true);
}

function setComm(entry: MutableEntry, view: DataView, offset: number): void {
  const at = offset + HEADER.comm;
  entry.comm0 = view.getUint32(at, true);
  entry.comm1 = view.getUint32(at + 4, true);
  entry.comm2 = view.getUint32(at + 8, true);
  entry.comm3 = view.getUint32(at + 12, true);
  const bytes = Buffer.from(view.buffer, view.byteOffset + at, COMM_BYTES);
  const end = bytes.indexOf(0);
  entry.comm = bytes.toString('utf8', 0, end === -1 ? COMM_BYTES : end);
}
