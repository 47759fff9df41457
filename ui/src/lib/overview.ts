/** The strip above the timeline: how much happened when, over the whole session. */
import type { EventStore } from './event-store.ts';
import type { Filter } from './filter.ts';
import type { Span } from './time-scale.ts';

export interface Overview {
  /** Events in each column: of the network (exchanges, streams), and all. */
  readonly net: Uint32Array;
  readonly all: Uint32Array;
  readonly errors: Uint8Array;
  readonly peak: number;
}

export function countColumns(stores: readonly EventStore[], filter: Filter, bounds: Span, columns: number): Overview {
  const net = new Uint32Array(columns);
  const all = new Uint32Array(columns);
  const errors = new Uint8Array(columns);
  const scale = columns / Math.max(1, bounds.to - bounds.from);
  let peak = 1;
  for (const store of stores) {
    for (const row of store.rows) {
      const column = Math.floor((row.t - bounds.from) * scale);
      if (column < 0 || column >= columns || !filter.matches(row)) continue;
      const count = (all[column] ?? 0) + 1;
      all[column] = count;
      if (count > peak) peak = count;
      if (row.source === 'http' || row.source === 'sse') net[column] = (net[column] ?? 0) + 1;
      if (row.tone === 'error' && row.source !== 'loss') errors[column] = 1;
    }
  }
  return { net, all, errors, peak };
}
