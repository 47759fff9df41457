/** Turns growth of the kernel's loss counters into what was lost since the last look. */
import type { KernelCounters } from '../addon.ts';
import { COUNTER, COUNTER_SOURCE } from '../decode/layout.ts';
import type { LossData } from '../event.ts';
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
  let before: KernelCounters = [];
  return {
    look(counters) {
      const losses = SOURCES.flatMap(([of, source]) => {
        const grown = (counter: number | null): number =>
          counter === null ? 0 : valueAt(counters, source, counter) - valueAt(before, source, counter);
        return CAUSES.flatMap(({ cause, lost, bytes }): LossData[] => {
          const loss = { stage: 'kernel', of, cause, lost: grown(lost), bytes: grown(bytes), connection: null };
          return loss.lost > 0 || loss.bytes > 0 ? [loss] : [];
        });
      });
      before = counters;
      return losses;
    },
  };
}

export function kernelStats(counters: KernelCounters): StageStats[] {
  return SOURCES.map(([name, source]) => ({
    stage: `kernel.${name}`,
    counters: Object.fromEntries(COUNTER_NAMES.map(([key, counter]) => [key, valueAt(counters, source, counter)])),
  }));
}

function valueAt(counters: KernelCounters, source: number, counter: number): number {
  return counters[source]?.[counter] ?? 0;
}
