/**
 * The events that the page holds: sorted by time, each once, at most `limit`
 * of them. Also the tracks: the same rows by process and source, which is what
 * a lane of the timeline draws.
 *
 * Events come nearly in order, but an exchange is written when it completes
 * and stamped when it began, so a batch is merged rather than appended.
 */
import { type Row, type RowSource } from './row.ts';
import { lowerBound, upperBound } from './search.ts';

/** About 60 MB of rows; older ones are dropped, counted, and fetched again when asked for. */
export const STORE_ROWS = 200_000;
/** Exchanges drawn above each other; further ones share the last line. */
export const MAX_DEPTH = 5;

export interface Track {
  readonly process: string;
  readonly source: RowSource;
  /** By time. */
  rows: Row[];
  /** Line of each row of `rows`. */
  depths: Uint8Array;
  depth: number;
  longestNs: number;
}

export class EventStore {
  readonly #limit: number;
  #rows: Row[] = [];
  #ids = new Map<string, Row>();
  #tracks = new Map<string, Track>();
  #dirty = new Set<Track>();
  #evicted = 0;

  constructor(limit: number = STORE_ROWS) {
    this.#limit = limit;
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get evicted(): number {
    return this.#evicted;
  }

  /** Time of the oldest row, or `Infinity`. */
  get from(): number {
    return this.#rows[0]?.t ?? Number.POSITIVE_INFINITY;
  }

  get(id: string): Row | undefined {
    return this.#ids.get(id);
  }

  /** Tells which of the rows were new. */
  add(rows: readonly Row[]): readonly Row[] {
    const fresh: Row[] = [];
    for (const row of rows) {
      if (this.#ids.has(row.id)) continue;
      this.#ids.set(row.id, row);
      fresh.push(row);
    }
    if (fresh.length === 0) return fresh;
    fresh.sort((a, b) => a.t - b.t);
    this.#rows = merge(this.#rows, fresh);
    for (const row of fresh) this.#toTrack(row);
    // A tenth of slack, so that rows are not moved for every batch.
    if (this.#rows.length > this.#limit * 1.1) this.#evict(this.#rows.length - this.#limit);
    return fresh;
  }

  track(process: string, source: RowSource): Track | undefined {
    const track = this.#tracks.get(trackKey(process, source));
    if (track !== undefined && this.#dirty.delete(track)) layOut(track);
    return track;
  }

  #toTrack(row: Row): void {
    if (row.process === null) return;
    const key = trackKey(row.process, row.source);
    let track = this.#tracks.get(key);
    if (track === undefined) {
      track = { process: row.process, source: row.source, rows: [], depths: new Uint8Array(0), depth: 1, longestNs: 0 };
      this.#tracks.set(key, track);
    }
    const last = track.rows.at(-1);
    if (last === undefined || last.t <= row.t) track.rows.push(row);
    else track.rows.splice(upperBound(track.rows, row.t, (item) => item.t), 0, row);
    this.#dirty.add(track);
  }

  #evict(count: number): void {
    const gone = this.#rows.slice(0, count);
    this.#rows = this.#rows.slice(count);
    this.#evicted += count;
    for (const row of gone) this.#ids.delete(row.id);
    const from = this.from;
    for (const [key, track] of this.#tracks) {
      const kept = track.rows.slice(lowerBound(track.rows, from, (row) => row.t)).filter((row) => this.#ids.has(row.id));
      if (kept.length === 0) {
        this.#tracks.delete(key);
        this.#dirty.delete(track);
        continue;
      }
      track.rows = kept;
      this.#dirty.add(track);
    }
  }
}

function trackKey(process: string, source: RowSource): string {
  return `${source}\n${process}`;
}

/** Gives each row the first line that is free at its start. Only exchanges have a length. */
function layOut(track: Track): void {
  track.longestNs = 0;
  track.depth = 1;
  if (track.source !== 'http') return;
  const ends: number[] = [];
  track.depths = new Uint8Array(track.rows.length);
  for (const [index, row] of track.rows.entries()) {
    let line = ends.findIndex((end) => end <= row.t);
    if (line < 0) line = Math.min(ends.length, MAX_DEPTH - 1);
    ends[line] = Math.max(ends[line] ?? 0, row.end);
    track.depths[index] = line;
    track.longestNs = Math.max(track.longestNs, row.end - row.t);
  }
  track.depth = Math.max(1, ends.length);
}

/** Merges two sorted arrays into a new one; what precedes the first new row is copied as it is. */
export function merge(old: readonly Row[], fresh: readonly Row[]): Row[] {
  const first = fresh[0];
  if (first === undefined) return old as Row[];
  const start = upperBound(old, first.t, (row) => row.t);
  const merged = old.slice(0, start);
  let left = start;
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
