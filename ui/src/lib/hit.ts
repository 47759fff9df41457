/** What lies under the pointer. Binary search in the lane's lines, no scan of the session. */
import type { Filter } from './filter.ts';
import { type Group, type Layout, groupAt } from './lanes.ts';
import type { Row } from './row.ts';
import type { TimeScale } from './time-scale.ts';
import type { Track } from './track.ts';

/** How far from a tick the pointer still means it. */
const REACH_PX = 5;
/** Rows under one pixel that are compared; of more the first ones decide. */
const CANDIDATES = 2000;

export interface Hit {
  readonly group: Group;
  readonly row: Row | null;
}

export interface HitQuery {
  readonly layout: Layout;
  readonly scale: TimeScale;
  readonly filter: Filter;
  readonly x: number;
  /** In the layout, that is with the scroll offset added. */
  readonly y: number;
}

export function hitTest(query: HitQuery): Hit | null {
  const group = query.layout.groups[groupAt(query.layout, query.y)];
  if (group === undefined) return null;
  for (const lane of group.lanes) {
    if (query.y < lane.y || query.y >= lane.y + lane.height) continue;
    return { group, row: best(lane.tracks, query, Math.floor((query.y - lane.y) / lane.lineHeight)) };
  }
  return { group, row: best(group.marks, query, 0) };
}

function best(tracks: readonly Track[], query: HitQuery, line: number): Row | null {
  const { scale } = query;
  const reach = REACH_PX * scale.nsPerPx;
  const time = scale.toTime(query.x);
  let found: Row | null = null;
  let rank = Number.POSITIVE_INFINITY;
  for (const track of tracks) {
    const series = track.lines(query.filter)[line]?.all;
    if (series === undefined) continue;
    const from = series.reaching(time - reach);
    const to = Math.min(series.before(time + reach), from + CANDIDATES);
    for (let position = from; position < to; position += 1) {
      const row = track.rows[series.indexAt(position)] as Row;
      const away = distancePx(row, query);
      if (away > REACH_PX) continue;
      // Within a pixel an error wins, since it is what is painted there; on equal terms the later one does.
      const next = Math.round(away) * 3 - (row.tone === 'error' ? 2 : row.tone === 'warn' ? 1 : 0);
      if (next <= rank) { found = row; rank = next; }
    }
  }
  return found;
}

function distancePx(row: Row, query: HitQuery): number {
  const left = query.scale.toPx(row.t);
  const right = query.scale.toPx(row.end);
  if (query.x < left) return left - query.x;
  return query.x > right ? query.x - right : 0;
}
