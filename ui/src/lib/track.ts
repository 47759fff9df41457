/**
 * Rows in the order of time, with what drawing needs of those that match a
 * filter. New rows mostly come last; then only they are looked at. A row that
 * comes late makes what lies behind it be looked at again.
 */
import type { Filter } from './filter.ts';
import type { Row } from './row.ts';
import { lowerBound, upperBound } from './search.ts';
import { Series } from './series.ts';

/** Exchanges drawn above each other; further ones share the last line. */
export const MAX_DEPTH = 5;

/** One line of a lane: all of it, and what must never be hidden behind it. */
export interface Line {
  readonly all: Series;
  readonly warnings: Series;
  readonly errors: Series;
  /** Exchanges and streams; only where the track was asked to tell them apart. */
  readonly net: Series;
}

export interface TrackOptions {
  /** Rows that overlap in time get lines of their own. */
  readonly stacked: boolean;
  /** Rows are of several sources, of which those of the network are told apart. */
  readonly mixed: boolean;
}

export class Track {
  #rows: Row[] = [];
  readonly #options: TrackOptions;
  #depths = new Uint8Array(0);
  #depth = 1;
  /** When each line is free, as of `#laidOut` rows. */
  #lineEnds: number[] = [];
  #laidOut = 0;
  #filter: Filter | null = null;
  #lines: Line[] = [];
  #drawn = 0;
  #host: string | null = null;
  #manyHosts = false;

  constructor(options: TrackOptions) {
    this.#options = options;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  /** Lines that are in use. */
  get depth(): number {
    return this.#depth;
  }

  /** The exchanges went to more than one host. */
  get manyHosts(): boolean {
    return this.#manyHosts;
  }

  /** -1 when it is not in the track. */
  indexOf(row: Row): number {
    return this.#rows.indexOf(row, lowerBound(this.#rows, row.t, (item) => item.t));
  }

  depthOf(index: number): number {
    return this.#depths[index] ?? 0;
  }

  /** Takes rows that are sorted and not in it yet. */
  insert(fresh: readonly Row[]): void {
    const first = fresh[0];
    if (first === undefined) return;
    const from = (this.#rows.at(-1)?.t ?? Number.NEGATIVE_INFINITY) <= first.t ? this.#rows.length : upperBound(this.#rows, first.t, (row) => row.t);
    this.#rows = merge(this.#rows, fresh, from);
    for (const row of fresh) this.#meet(row.http?.host ?? null);
    this.#forgetFrom(from);
    this.#layOut();
  }

  /** Drops the first `count` rows. */
  drop(count: number): void {
    if (count === 0) return;
    this.#rows = this.#rows.slice(count);
    this.#forgetFrom(0);
    this.#layOut();
  }

  /** What matches, line by line. The lines belong to the track and change with it. */
  lines(filter: Filter): readonly Line[] {
    if (filter !== this.#filter) {
      this.#filter = filter;
      this.#drawn = 0;
      this.#lines = [];
    }
    while (this.#lines.length < this.#depth) this.#lines.push({ all: new Series(), warnings: new Series(), errors: new Series(), net: new Series() });
    for (; this.#drawn < this.#rows.length; this.#drawn += 1) {
      const row = this.#rows[this.#drawn] as Row;
      if (!filter.empty && !filter.matches(row)) continue;
      const line = this.#lines[this.depthOf(this.#drawn)] as Line;
      line.all.push(this.#drawn, row.t, row.end);
      if (row.tone === 'warn') line.warnings.push(this.#drawn, row.t, row.end);
      else if (row.tone === 'error') line.errors.push(this.#drawn, row.t, row.end);
      if (this.#options.mixed && (row.source === 'http' || row.source === 'sse')) line.net.push(this.#drawn, row.t, row.end);
    }
    return this.#lines;
  }

  #meet(host: string | null): void {
    if (host === null || host === this.#host) return;
    if (this.#host !== null) this.#manyHosts = true;
    this.#host = host;
  }

  #forgetFrom(index: number): void {
    if (index < this.#laidOut) {
      this.#laidOut = 0;
      this.#lineEnds = [];
    }
    if (index >= this.#drawn) return;
    this.#drawn = index;
    // Rows before `index` keep their lines: a line is given by what came before.
    for (const line of this.#lines) for (const series of [line.all, line.warnings, line.errors, line.net]) series.truncate(index);
  }

  /** Gives each row the first line that is free at its start. */
  #layOut(): void {
    if (!this.#options.stacked) return;
    if (this.#depths.length < this.#rows.length) {
      const larger = new Uint8Array(this.#rows.length * 2);
      larger.set(this.#depths);
      this.#depths = larger;
    }
    const ends = this.#lineEnds;
    for (; this.#laidOut < this.#rows.length; this.#laidOut += 1) {
      const row = this.#rows[this.#laidOut] as Row;
      let line = ends.findIndex((end) => end <= row.t);
      if (line < 0) line = Math.min(ends.length, MAX_DEPTH - 1);
      ends[line] = Math.max(ends[line] ?? 0, row.end);
      this.#depths[this.#laidOut] = line;
    }
    this.#depth = Math.max(1, ends.length);
  }
}

/** Merges two sorted arrays into a new one; what precedes `from` in the old one is copied as it is. */
function merge(old: readonly Row[], fresh: readonly Row[], from: number): Row[] {
  const last = fresh.at(-1) as Row;
  const next = old[from];
  // Pages of history come whole before what is there, live events behind it: both are plain copies.
  if (next === undefined) return old.concat(fresh);
  if (last.t < next.t) return old.slice(0, from).concat(fresh, old.slice(from));
  const merged = old.slice(0, from);
  let left = from;
  let right = 0;
  while (left < old.length && right < fresh.length) {
    const a = old[left] as Row;
    const b = fresh[right] as Row;
    if (a.t <= b.t) { merged.push(a); left += 1; } else { merged.push(b); right += 1; }
  }
  while (left < old.length) merged.push(old[left++] as Row);
  while (right < fresh.length) merged.push(fresh[right++] as Row);
  return merged;
}
