/**
 * What traced processes use, measured every few seconds: processor time and memory of each, and of each root with all
 * that descend from it. The kernel's own accounts in /proc are read. What has not changed is not told again; a process
 * that begins and ends between two looks is told by its EXIT alone.
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import type { ProcessEntry } from '../decode/process-table.ts';
import type { ProcessKey, SystemData, SystemEvent, SystemThreshold } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { now } from '../time.ts';
import { readStat, type ProcStat } from './proc.ts';

export interface UsageOptions {
  readonly intervalMs: number;
  /** Of one processor, in percent, for a root with its descendants; null for none. */
  readonly cpuThreshold: number | null;
  /** Resident memory of the same; null for none. */
  readonly memoryThresholdBytes: number | null;
}

export interface UsageSampler {
  /** Measures once. The first look at a process tells nothing: `nowMs`, of a clock that only goes forward, begins its interval. */
  look(live: Iterable<ProcessEntry>, nowMs: number): readonly SystemEvent[];
  counters(): Readonly<Record<string, number>>;
}

export interface UsageContext {
  readonly identity: Identity;
  readonly options: UsageOptions;
  /** A tree has passed a threshold that it had not passed in the look before. */
  readonly onOver?: (event: SystemEvent, threshold: SystemThreshold) => void;
  readonly statOf?: (pid: number) => ProcStat | null;
}

/** Processor time since the look before, and what is held now. */
interface Usage {
  readonly processes: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
  readonly threads: number;
}

interface Known {
  readonly stat: ProcStat;
  readonly atMs: number;
  /** Memory when it was last told; -1 before. */
  readonly toldBytes: number;
}

interface Tree {
  /** The root; where that has ended, another of its processes. */
  root: ProcessEntry;
  usage: Usage;
  readonly atMs: number;
  /** In the look before; undefined in the first. */
  readonly before: Tree | undefined;
  over: readonly SystemThreshold[];
  /** Of its processes. */
  readonly members: SystemEvent[];
}

const TICK_MS = 10;
const NOTHING: Usage = { processes: 0, userMs: 0, systemMs: 0, rssBytes: 0, threads: 0 };

export function createUsageSampler({ identity, options, onOver = () => undefined, statOf = readStat }: UsageContext): UsageSampler {
  const counters = new Counters(['samples', 'unmeasured']);
  const pageBytes = readPageBytes();
  let timestamp = now();
  let known = new Map<ProcessKey, Known>();
  let trees = new Map<ProcessKey, Tree>();

  function look(live: Iterable<ProcessEntry>, nowMs: number): readonly SystemEvent[] {
    timestamp = now();
    const seen = new Map<ProcessKey, Known>();
    const grown = new Map<ProcessKey, Tree>();
    for (const entry of live) {
      if (seen.size >= LIMITS.sampledProcesses) {
        counters.add('unmeasured');
        continue;
      }
      const stat = statOf(entry.pid);
      // Its pid may be another's by now.
      if (stat === null || identity.processKeyOfTicks(stat.startTicks, stat.pid) !== entry.key) continue;
      seen.set(entry.key, measure(treeOf(entry, grown, nowMs), entry, stat, nowMs));
    }
    const events = [...grown.values()].flatMap(tell);
    known = seen;
    trees = grown;
    counters.add('samples', events.length);
    return events;
  }

  function treeOf(entry: ProcessEntry, grown: Map<ProcessKey, Tree>, nowMs: number): Tree {
    const session = entry.session ?? entry.key;
    const present = grown.get(session);
    if (present !== undefined) {
      if (entry.key === session) present.root = entry;
      return present;
    }
    const before = trees.get(session);
    // Nothing may lead from a look to all that were before it.
    const tree: Tree = { root: entry, usage: NOTHING, atMs: nowMs, before: before && { ...before, before: undefined, members: [] }, over: [], members: [] };
    grown.set(session, tree);
    return tree;
  }

  function measure(tree: Tree, entry: ProcessEntry, stat: ProcStat, nowMs: number): Known {
    const before = known.get(entry.key);
    const usage: Usage = {
      processes: 1,
      userMs: before === undefined ? 0 : (stat.userTicks - before.stat.userTicks) * TICK_MS,
      systemMs: before === undefined ? 0 : (stat.systemTicks - before.stat.systemTicks) * TICK_MS,
      rssBytes: stat.rssPages * pageBytes,
      threads: stat.threads,
    };
    tree.usage = sum(tree.usage, usage);
    const isNews = before !== undefined && (usesTime(usage) || usage.rssBytes !== before.toldBytes);
    if (isNews) tree.members.push(eventOf(entry, { event: 'PROCESS', usage, elapsedMs: nowMs - before.atMs, over: [] }));
    return { stat, atMs: nowMs, toldBytes: isNews ? usage.rssBytes : before?.toldBytes ?? -1 };
  }

  /** The tree, then its processes where it has several. */
  function tell(tree: Tree): readonly SystemEvent[] {
    const { root, usage, before, atMs, members } = tree;
    if (before === undefined) return [];
    const elapsedMs = atMs - before.atMs;
    tree.over = thresholdsOver(usage, elapsedMs);
    const isNews = usesTime(usage) || usage.rssBytes !== before.usage.rssBytes || usage.processes !== before.usage.processes;
    if (!isNews && members.length === 0) return [];
    const event = eventOf(root, { event: 'TREE', usage, elapsedMs, over: tree.over });
    for (const threshold of tree.over) if (!before.over.includes(threshold)) onOver(event, threshold);
    return usage.processes === 1 ? [event] : [event, ...members];
  }

  function thresholdsOver(usage: Usage, elapsedMs: number): readonly SystemThreshold[] {
    const { cpuThreshold, memoryThresholdBytes } = options;
    return [
      ...(cpuThreshold !== null && cpuPercent(usage, elapsedMs) > cpuThreshold ? ['cpu'] as const : []),
      ...(memoryThresholdBytes !== null && usage.rssBytes > memoryThresholdBytes ? ['memory'] as const : []),
    ];
  }

  function eventOf({ pid, comm, key, session }: ProcessEntry, { event, usage, elapsedMs, over }: Told): SystemEvent {
    const data: SystemData = {
      event, processes: usage.processes, cpu_percent: cpuPercent(usage, elapsedMs), user_ms: usage.userMs, system_ms: usage.systemMs,
      rss_bytes: usage.rssBytes, threads: usage.threads, interval_ms: Math.round(elapsedMs), over,
    };
    return { timestamp, source: 'system', pid, comm, data, id: identity.nextId(), process: key, session };
  }

  return { look, counters: () => counters.snapshot() };
}

interface Told {
  readonly event: SystemData['event'];
  readonly usage: Usage;
  readonly elapsedMs: number;
  readonly over: readonly SystemThreshold[];
}

function sum(a: Usage, b: Usage): Usage {
  return {
    processes: a.processes + b.processes, userMs: a.userMs + b.userMs, systemMs: a.systemMs + b.systemMs,
    rssBytes: a.rssBytes + b.rssBytes, threads: a.threads + b.threads,
  };
}

function usesTime({ userMs, systemMs }: Usage): boolean {
  return userMs + systemMs > 0;
}

/** Of one processor, to a tenth: ticks of 10 ms tell no more. */
function cpuPercent({ userMs, systemMs }: Usage, elapsedMs: number): number {
  return elapsedMs <= 0 ? 0 : Math.round((1000 * (userMs + systemMs)) / elapsedMs) / 10;
}

const AT_NULL = 0n;
const AT_PAGESZ = 6n;
const PAIR_BYTES = 16;

/** As the kernel told this program at its start, in pairs of type and value: getauxval(3). */
function readPageBytes(): number {
  const vector = readFileSync('/proc/self/auxv');
  const word = (at: number): bigint => (endianness() === 'LE' ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at));
  for (let at = 0; at + PAIR_BYTES <= vector.length && word(at) !== AT_NULL; at += PAIR_BYTES) {
    if (word(at) === AT_PAGESZ) return Number(word(at + PAIR_BYTES / 2));
  }
  throw new Error('the kernel told no page size');
}
