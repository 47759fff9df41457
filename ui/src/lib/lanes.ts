/**
 * Where each process and each of its lanes lies, from top to bottom. The tree
 * on the left and the canvas use the same layout, so their rows line up.
 */
import type { EventStore } from './event-store.ts';
import type { TreeRow } from './process-table.ts';
import type { RowSource } from './row.ts';
import { upperBound } from './search.ts';
import type { Track } from './track.ts';

export const LIFE_HEIGHT = 24;
export const GROUP_PADDING = 3;
/** Sources with a lane of their own, in the order of the lanes. */
export const LANE_SOURCES = ['http', 'sse', 'websocket', 'mcp', 'net', 'file', 'stdio', 'tls', 'signal', 'readline', 'system'] as const satisfies readonly RowSource[];
export type LaneSource = (typeof LANE_SOURCES)[number];

/** One line of an exchange lane is taller: it carries a label. */
const LINE_HEIGHT: Record<LaneSource, number> = {
  http: 18, sse: 12, websocket: 12, mcp: 12, net: 12, file: 12, stdio: 14, tls: 12, signal: 12, readline: 12, system: 18,
};

export interface Lane {
  readonly source: LaneSource;
  readonly y: number;
  readonly height: number;
  readonly lineHeight: number;
  readonly tracks: readonly Track[];
}

export interface Group {
  readonly tree: TreeRow;
  readonly y: number;
  readonly height: number;
  readonly lanes: readonly Lane[];
  readonly marks: readonly Track[];
}

export interface Layout {
  readonly groups: readonly Group[];
  readonly height: number;
}

export interface LayoutOptions {
  readonly rows: readonly TreeRow[];
  readonly stores: readonly EventStore[];
  readonly sources: ReadonlySet<RowSource> | null;
}

export function layOutLanes(options: LayoutOptions): Layout {
  const groups: Group[] = [];
  let y = 0;
  for (const tree of options.rows) {
    const lanes: Lane[] = [];
    let inner = y + LIFE_HEIGHT;
    for (const source of LANE_SOURCES) {
      if (options.sources !== null && !options.sources.has(source)) continue;
      const tracks = tracksOf(options.stores, tree.node.key, source);
      if (tracks.length === 0) continue;
      const lineHeight = LINE_HEIGHT[source];
      const height = lineHeight * Math.max(...tracks.map((track) => track.depth));
      lanes.push({ source, y: inner, height, lineHeight, tracks });
      inner += height + 2;
    }
    const bottom = lanes.length > 0 ? inner + GROUP_PADDING : inner;
    groups.push({ tree, y, height: bottom - y, lanes, marks: tracksOf(options.stores, tree.node.key, 'process') });
    y = bottom;
  }
  return { groups, height: y };
}

export function countOf(lane: Lane): number {
  return lane.tracks.reduce((sum, track) => sum + track.rows.length, 0);
}

/** Index of the group at `y`; -1 below the last. */
export function groupAt(layout: Layout, y: number): number {
  const index = upperBound(layout.groups, y, (group) => group.y) - 1;
  const group = layout.groups[index];
  return group !== undefined && y < group.y + group.height ? index : -1;
}

/** The groups that a window of the scrolled area shows. */
export function visibleGroups(layout: Layout, top: number, height: number): readonly Group[] {
  const first = Math.max(0, upperBound(layout.groups, top, (group) => group.y) - 1);
  const last = upperBound(layout.groups, top + height, (group) => group.y);
  return layout.groups.slice(first, last);
}

function tracksOf(stores: readonly EventStore[], process: string, source: RowSource): readonly Track[] {
  return stores.flatMap((store) => {
    const track = store.track(process, source);
    return track === undefined ? [] : [track];
  });
}
