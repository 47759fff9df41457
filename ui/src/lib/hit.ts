/** What lies under the pointer. Binary search in the lane's track, no scan of the session. */
import type { Track } from './event-store.ts';
import type { Filter } from './filter.ts';
import { type Group, type Layout, groupAt } from './lanes.ts';
import type { Row } from './row.ts';
import { lowerBound } from './search.ts';
import type { TimeScale } from './time-scale.ts';

/** How far from a tick the pointer still means it. */
const REACH_PX = 5;

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
    const line = Math.floor((query.y - lane.y) / lane.lineHeight);
    return { group, row: best(lane.tracks, query, lane.source === 'http' ? line : null) };
  }
  return { group, row: best(group.marks, query, null) };
}

function best(tracks: readonly Track[], query: HitQuery, line: number | null): Row | null {
  let found: Row | null = null;
  let distance = REACH_PX + 1;
  for (const track of tracks) {
    const reach = REACH_PX * query.scale.nsPerPx;
    const time = query.scale.toTime(query.x);
    let index = lowerBound(track.rows, time - reach - track.longestNs, (row) => row.t);
    for (; index < track.rows.length; index += 1) {
      const row = track.rows[index] as Row;
      if (row.t > time + reach) break;
      if (line !== null && track.depths[index] !== line) continue;
      if (!query.filter.matches(row)) continue;
      const away = distancePx(row, query);
      // On equal terms the later one wins: it is drawn on top.
      if (away <= distance) { found = row; distance = away; }
    }
  }
  return distance <= REACH_PX ? found : null;
}

function distancePx(row: Row, query: HitQuery): number {
  const left = query.scale.toPx(row.t);
  const right = query.scale.toPx(row.end);
  if (query.x < left) return left - query.x;
  return query.x > right ? query.x - right : 0;
}
