/** The strip above the timeline: how much happened when, over the whole session. */
import type { Matches } from './event-store.ts';
import type { Series } from './series.ts';
import type { Span } from './time-scale.ts';

export interface Overview {
  /** Events in each column: of the network (exchanges, streams), and all. */
  readonly net: Uint32Array;
  readonly all: Uint32Array;
  readonly errors: Uint32Array;
  readonly peak: number;
}

/** By binary search: the cost is the number of columns, however many events there are. */
export function countColumns(stores: readonly Matches[], bounds: Span, columns: number): Overview {
  const all = new Uint32Array(columns);
  const net = new Uint32Array(columns);
  const errors = new Uint32Array(columns);
  for (const store of stores) {
    countInto(all, store.all, bounds);
    countInto(net, store.net, bounds);
    countInto(errors, store.errors, bounds);
  }
  return { all, net, errors, peak: all.reduce((peak, count) => Math.max(peak, count), 1) };
}

function countInto(counts: Uint32Array, series: Series, bounds: Span): void {
  const width = (bounds.to - bounds.from) / counts.length;
  let before = series.before(bounds.from);
  for (let column = 0; column < counts.length; column += 1) {
    const until = series.before(bounds.from + width * (column + 1));
    counts[column] = (counts[column] ?? 0) + until - before;
    before = until;
  }
}
