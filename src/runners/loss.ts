/** Turns growth of the kernel's loss counters into what was lost since the last look. */
import type { CpuCounters, KernelCounters } from '../addon.ts';
import { COUNTER, COUNTER_SOURCE, COUNTERS_PER_SOURCE } from '../decode/layout.ts';
import type { CpuLoss, LossData } from '../event.ts';
import type { StageStats } from '../stats.ts';

const SOURCES = [
  ['process', COUNTER_SOURCE.COUNT_PROCESS],
  ['tls', COUNTER_SOURCE.COUNT_TLS],
  ['stdio', COUNTER_SOURCE.COUNT_STDIO],
  ['net', COUNTER_SOURCE.COUNT_NET],
  ['file', COUNTER_SOURCE.COUNT_FILE],
  ['signal', COUNTER_SOURCE.COUNT_SIGNAL],
  ['readline', COUNTER_SOURCE.COUNT_READLINE],
] as const;

const COUNTER_NAMES = [
  ['delivered', COUNTER.COUNT_DELIVERED],
  ['ring_full', COUNTER.COUNT_RING_FULL],
  ['ring_full_bytes', COUNTER.COUNT_RING_FULL_BYTES],
  ['map_full', COUNTER.COUNT_MAP_FULL],
  ['read_fault', COUNTER.COUNT_READ_FAULT],
  ['truncated_bytes', COUNTER.COUNT_TRUNCATED_BYTES],
  ['missed', COUNTER.COUNT_MISSED],
  ['calls', COUNTER.COUNT_CALLS],
  ['compat', COUNTER.COUNT_COMPAT],
  ['unmerged', COUNTER.COUNT_UNMERGED],
  ['foreign', COUNTER.COUNT_FOREIGN],
  ['left_out_bytes', COUNTER.COUNT_LEFT_OUT_BYTES],
] as const;

interface Cause {
  readonly cause: string;
  readonly lost: number | null;
  readonly bytes: number | null;
}

/** What each way of losing is called, and which counters say how much. */
const CAUSES: readonly Cause[] = [
  { cause: 'ring full', lost: COUNTER.COUNT_RING_FULL, bytes: COUNTER.COUNT_RING_FULL_BYTES },
  { cause: 'map full', lost: COUNTER.COUNT_MAP_FULL, bytes: null },
  { cause: 'memory could not be read', lost: COUNTER.COUNT_READ_FAULT, bytes: null },
  { cause: 'payload limit reached', lost: null, bytes: COUNTER.COUNT_TRUNCATED_BYTES },
  { cause: 'call without its start', lost: COUNTER.COUNT_MISSED, bytes: null },
  { cause: 'system call of a 32-bit program', lost: COUNTER.COUNT_COMPAT, bytes: null },
];

export interface LossWatch {
  /** Losses since the last look. */
  look(counters: KernelCounters): LossData[];
}

export function createLossWatch(): LossWatch {
  let before: ReadonlyMap<number, CpuCounters> = new Map();
  return {
    look(counters) {
      const losses = SOURCES.flatMap(([of, source]) => CAUSES.flatMap(({ cause, lost, bytes }): LossData[] => {
        const grown = (after: CpuCounters, counter: number | null): number =>
          counter === null ? 0 : valueOf(after, source, counter) - valueOf(before.get(after.cpu), source, counter);
        const cpus = counters.map((one) => ({ cpu: one.cpu, lost: grown(one, lost), bytes: grown(one, bytes) })).filter((one) => one.lost > 0 || one.bytes > 0);
        return cpus.length === 0 ? [] : [{ stage: 'kernel', of, cause, lost: sumOf(cpus, 'lost'), bytes: sumOf(cpus, 'bytes'), connection: null, cpus }];
      }));
      before = new Map(counters.map((one) => [one.cpu, one]));
      return losses;
    },
  };
}

/** Per source over all cpus; and of each cpu that lost records, how many it numbered, how many of them we `read`, and how many are counted as `lost`. */
export function kernelStats(counters: KernelCounters, readOf: (cpu: number) => number): StageStats[] {
  const ofSources = SOURCES.map(([name, source]) => ({
    stage: `kernel.${name}`,
    counters: Object.fromEntries(COUNTER_NAMES.map(([key, counter]) => [key, countedOf(counters, source, counter)])),
  }));
  const ofCpus = counters.flatMap((one) => {
    const lost = SOURCES.reduce((sum, [, source]) => sum + valueOf(one, source, COUNTER.COUNT_RING_FULL), 0);
    return lost === 0 ? [] : [{ stage: `kernel.cpu${one.cpu}`, counters: { records: one.records, read: readOf(one.cpu), lost } }];
  });
  return [...ofSources, ...ofCpus];
}

/** What all cpus counted. */
export function countedOf(counters: KernelCounters, source: number, counter: number): number {
  return counters.reduce((sum, one) => sum + valueOf(one, source, counter), 0);
}

function valueOf(one: CpuCounters | undefined, source: number, counter: number): number {
  return one?.values[source * COUNTERS_PER_SOURCE + counter] ?? 0;
}

function sumOf(cpus: readonly CpuLoss[], key: 'lost' | 'bytes'): number {
  return cpus.reduce((sum, one) => sum + one[key], 0);
}
