/**
 * The events that the page holds: sorted by time, each once, at most `limit`
 * of them. Also the tracks: the same rows by process and source, which is what
 * a lane of the timeline draws.
 *
 * Events come nearly in order, but an exchange is written when it completes
 * and stamped when it began, so a batch is merged rather than appended.
 */
import type { Filter } from './filter.ts';
import type { Row, RowSource } from './row.ts';
import type { Series } from './series.ts';
import { type Line, Track } from './track.ts';

/** About 60 MB of rows; older ones are dropped, counted, and fetched again when asked for. */
export const STORE_ROWS = 200_000;

/** What matches a filter, of the whole store. */
export interface Matches {
  readonly rows: readonly Row[];
  readonly all: Series;
  readonly net: Series;
  readonly errors: Series;
}

export class EventStore {
  readonly #limit: number;
  readonly #all = new Track({ stacked: false, mixed: true });
  readonly #ids = new Map<string, Row>();
  readonly #tracks = new Map<string, Map<RowSource, Track>>();
  readonly #counts = new Map<RowSource, number>();
  #evicted = 0;
  #shape = 0;
  #matching: { readonly filter: Filter; readonly of: readonly Row[]; readonly matches: Matches } | null = null;

  constructor(limit: number = STORE_ROWS) {
    this.#limit = limit;
  }

  get rows(): readonly Row[] {
    return this.#all.rows;
  }

  get evicted(): number {
    return this.#evicted;
  }

  /** Changes when a lane came, went or grew a line: only then are the lanes laid out anew. */
  get shape(): number {
    return this.#shape;
  }

  /** Time of the oldest row, or `Infinity`. */
  get from(): number {
    return this.rows[0]?.t ?? Number.POSITIVE_INFINITY;
  }

  get(id: string): Row | undefined {
    return this.#ids.get(id);
  }

  count(source: RowSource): number {
    return this.#counts.get(source) ?? 0;
  }

  track(process: string, source: RowSource): Track | undefined {
    return this.#tracks.get(process)?.get(source);
  }

  /** Tells which of the rows were new. */
  add(rows: readonly Row[]): readonly Row[] {
    const fresh: Row[] = [];
    for (const row of rows) {
      if (this.#ids.has(row.id)) continue;
      this.#ids.set(row.id, row);
      this.#counts.set(row.source, this.count(row.source) + 1);
      fresh.push(row);
    }
    if (fresh.length === 0) return fresh;
    fresh.sort((a, b) => a.t - b.t);
    this.#all.insert(fresh);
    this.#toTracks(fresh);
    // A tenth of slack, so that rows are not moved for every batch.
    if (this.rows.length > this.#limit * 1.1) this.#evict(this.rows.length - this.#limit);
    return fresh;
  }

  /** The same object until rows or filter change. */
  matching(filter: Filter): Matches {
    const { rows } = this;
    const last = this.#matching;
    if (last !== null && last.filter === filter && last.of === rows) return last.matches;
    const matches = collect(this.#all, filter);
    this.#matching = { filter, of: rows, matches };
    return matches;
  }

  #toTracks(fresh: readonly Row[]): void {
    const batches = new Map<Track, Row[]>();
    for (const row of fresh) {
      if (row.process === null) continue;
      const track = this.#trackFor(row.process, row.source);
      const batch = batches.get(track);
      if (batch === undefined) batches.set(track, [row]);
      else batch.push(row);
    }
    for (const [track, batch] of batches) {
      const { depth } = track;
      track.insert(batch);
      if (track.depth !== depth) this.#shape += 1;
    }
  }

  #trackFor(process: string, source: RowSource): Track {
    let tracks = this.#tracks.get(process);
    if (tracks === undefined) {
      tracks = new Map();
      this.#tracks.set(process, tracks);
    }
    let track = tracks.get(source);
    if (track === undefined) {
      track = new Track({ stacked: source === 'http', mixed: false });
      tracks.set(source, track);
      this.#shape += 1;
    }
    return track;
  }

  #evict(count: number): void {
    for (const row of this.rows.slice(0, count)) {
      this.#ids.delete(row.id);
      this.#counts.set(row.source, this.count(row.source) - 1);
    }
    this.#all.drop(count);
    this.#evicted += count;
    this.#shape += 1;
    for (const [process, tracks] of this.#tracks) {
      for (const [source, track] of tracks) {
        const kept = track.rows.findIndex((row) => this.#ids.has(row.id));
        if (kept < 0) tracks.delete(source);
        else track.drop(kept);
      }
      if (tracks.size === 0) this.#tracks.delete(process);
    }
  }
}

/** Without a filter nothing is copied: this is asked for at each update. */
function collect(track: Track, filter: Filter): Matches {
  const [line] = track.lines(filter) as readonly [Line];
  const rows = (): Row[] => Array.from({ length: line.all.length }, (_, position) => track.rows[line.all.indexAt(position)] as Row);
  return { rows: filter.empty ? track.rows : rows(), all: line.all, net: line.net, errors: line.errors };
}
