/**
 * Paints the lanes of the timeline. Only what is visible is touched, and of
 * many ticks in one pixel column one is drawn: the first, or one with an error.
 */
import type { Track } from './event-store.ts';
import type { Filter } from './filter.ts';
import { type Group, type Lane, LIFE_HEIGHT } from './lanes.ts';
import type { Palette } from './palette.ts';
import { failed } from './process-table.ts';
import type { Row } from './row.ts';
import { lowerBound } from './search.ts';
import type { TimeScale } from './time-scale.ts';

export interface Scene {
  readonly context: CanvasRenderingContext2D;
  readonly palette: Palette;
  readonly scale: TimeScale;
  readonly groups: readonly Group[];
  readonly filter: Filter;
  readonly scrollTop: number;
  readonly heightPx: number;
  /** Newest known time: where the bar of a running process ends. */
  readonly nowNs: number;
  readonly selectedId: string | null;
  readonly selectedProcess: string | null;
  readonly hoveredId: string | null;
  readonly font: string;
}

export function drawLanes(scene: Scene): void {
  for (const group of scene.groups) {
    drawGroupBack(scene, group);
    drawLife(scene, group);
    for (const lane of group.lanes) {
      for (const track of lane.tracks) {
        if (lane.source === 'http') drawExchanges(scene, lane, track);
        else drawTicks(scene, lane, track);
      }
    }
  }
}

function drawGroupBack(scene: Scene, group: Group): void {
  const { context, palette, scale } = scene;
  const y = group.y - scene.scrollTop;
  if (group.tree.node.key === scene.selectedProcess) {
    context.fillStyle = palette['accent-soft'];
    context.fillRect(0, y, scale.widthPx, group.height);
  }
  context.fillStyle = palette.line;
  context.fillRect(0, y + group.height - 1, scale.widthPx, 1);
}

function drawLife(scene: Scene, group: Group): void {
  const { context, palette, scale } = scene;
  const { node } = group.tree;
  const left = Math.max(-4, scale.toPx(node.start));
  const right = Math.min(scale.widthPx + 4, scale.toPx(node.end ?? Math.max(scene.nowNs, node.start)));
  const y = group.y - scene.scrollTop + 6;
  if (right >= 0 && left <= scale.widthPx) {
    const width = Math.max(2, right - left);
    context.fillStyle = palette['process-soft'];
    roundBar(context, { x: left, y, width, height: LIFE_HEIGHT - 12, radius: 3 });
    context.fillStyle = node.signal !== null ? palette.error : failed(node) ? palette.warn : palette.process;
    // The end carries the outcome: a cap when it ended, an open edge while it runs.
    if (node.end !== null) context.fillRect(Math.max(left, right - 3), y, 3, LIFE_HEIGHT - 12);
    context.fillStyle = palette.process;
    context.fillRect(left, y, Math.min(2, width), LIFE_HEIGHT - 12);
  }
  for (const track of group.marks) drawMarks(scene, group, track);
}

/** Execs are diamonds on the bar; fork and exit are its two ends. */
function drawMarks(scene: Scene, group: Group, track: Track): void {
  const { context, palette } = scene;
  const y = group.y - scene.scrollTop + LIFE_HEIGHT / 2;
  eachColumn(scene, track, (row, x) => {
    const marked = row.id === scene.selectedId || row.id === scene.hoveredId;
    if (row.kind !== 'EXEC' && !marked) return;
    context.fillStyle = marked ? palette.accent : row.tone === 'plain' ? palette.process : palette.warn;
    const size = marked ? 6.5 : 5;
    context.beginPath();
    context.moveTo(x, y - size);
    context.lineTo(x + size, y);
    context.lineTo(x, y + size);
    context.lineTo(x - size, y);
    context.fill();
  });
}

function drawExchanges(scene: Scene, lane: Lane, track: Track): void {
  const { context, palette, scale } = scene;
  let index = lowerBound(track.rows, scale.from - track.longestNs, (row) => row.t);
  const height = lane.lineHeight - 3;
  for (; index < track.rows.length; index += 1) {
    const row = track.rows[index] as Row;
    if (row.t > scale.to) break;
    if (row.end < scale.from || !scene.filter.matches(row)) continue;
    const left = Math.max(-4, scale.toPx(row.t));
    const right = Math.min(scale.widthPx + 4, scale.toPx(row.end));
    const middle = Math.min(right, Math.max(left, scale.toPx(row.mid)));
    const y = lane.y - scene.scrollTop + (track.depths[index] ?? 0) * lane.lineHeight + 1;
    const width = Math.max(3, right - left);
    const colour = row.tone === 'error' ? palette.error : row.tone === 'warn' ? palette.warn : palette.http;
    context.fillStyle = colour;
    roundBar(context, { x: left, y, width, height, radius: 3 });
    const waiting = Math.min(middle - left, width - 2) - 1;
    if (waiting > 1) {
      // Waiting for the first byte: the same bar, hollow.
      context.fillStyle = palette['http-soft'];
      context.fillRect(left + 1, y + 1, waiting, height - 2);
    }
    if (row.id === scene.selectedId || row.id === scene.hoveredId) outline(scene, { x: left, y, width, height, radius: 3 }, row.id === scene.selectedId);
    drawLabel(scene, row, { left, middle: Math.min(middle, left + width), right: left + width, y, height });
  }
}

interface LabelPlace {
  readonly left: number;
  readonly middle: number;
  readonly right: number;
  readonly y: number;
  readonly height: number;
}

/** On the part of the bar with more room that is in the window: waiting or receiving. */
function drawLabel(scene: Scene, row: Row, place: LabelPlace): void {
  const { context, palette, scale } = scene;
  const [left, middle, right] = [place.left, place.middle, place.right].map((x) => Math.min(Math.max(x, 0), scale.widthPx)) as [number, number, number];
  const onWaiting = middle - left > right - middle;
  const from = onWaiting ? left : middle;
  const width = (onWaiting ? middle : right) - from;
  if (width < 34) return;
  context.save();
  context.beginPath();
  context.rect(from, place.y, width - 5, place.height);
  context.clip();
  context.font = scene.font;
  context.textBaseline = 'middle';
  context.fillStyle = onWaiting ? palette.text : palette['on-bar'];
  context.fillText(shortTarget(row.title, width), from + 6, place.y + place.height / 2 + 0.5);
  context.restore();
}

/** `POST api.example.com/v1/messages` out of the whole address; without the method where there is little room. */
function shortTarget(title: string, widthPx: number): string {
  const target = title.replace(/ https?:\/\//, ' ').replace(/\?.*$/, '');
  return widthPx < 190 ? target.slice(target.indexOf(' ') + 1) : target;
}

function drawTicks(scene: Scene, lane: Lane, track: Track): void {
  const { context } = scene;
  const y = lane.y - scene.scrollTop + 1;
  const height = lane.lineHeight - 3;
  eachColumn(scene, track, (row, x) => {
    context.fillStyle = tickColour(scene.palette, row);
    context.fillRect(Math.floor(x), y, 2, height);
    if (row.id !== scene.selectedId && row.id !== scene.hoveredId) return;
    outline(scene, { x: Math.floor(x) - 1, y: y - 1, width: 4, height: height + 2, radius: 2 }, row.id === scene.selectedId);
  });
}

function tickColour(palette: Palette, row: Row): string {
  if (row.tone === 'error') return palette.error;
  if (row.source === 'sse') return palette.sse;
  if (row.source === 'tls') return palette.tls;
  if (row.kind === 'stderr') return palette.stderr;
  return row.kind === 'stdin' ? palette.stdin : palette.stdout;
}

/** Calls `draw` for one row of each pixel column; a selected or failed row is never hidden. */
function eachColumn(scene: Scene, track: Track, draw: (row: Row, x: number) => void): void {
  const { scale, filter } = scene;
  let column = Number.NEGATIVE_INFINITY;
  let index = lowerBound(track.rows, scale.toTime(-6), (row) => row.t);
  for (; index < track.rows.length; index += 1) {
    const row = track.rows[index] as Row;
    const x = scale.toPx(row.t);
    if (x > scale.widthPx + 6) break;
    const special = row.id === scene.selectedId || row.id === scene.hoveredId || row.tone === 'error';
    if (!special && Math.floor(x) === column) continue;
    if (!filter.matches(row)) continue;
    column = Math.floor(x);
    draw(row, x);
  }
}

interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly radius: number;
}

function roundBar(context: CanvasRenderingContext2D, bar: Bar): void {
  if (bar.width < 6) {
    context.fillRect(bar.x, bar.y, bar.width, bar.height);
    return;
  }
  context.beginPath();
  context.roundRect(bar.x, bar.y, bar.width, bar.height, bar.radius);
  context.fill();
}

function outline(scene: Scene, bar: Bar, strong: boolean): void {
  const { context, palette } = scene;
  context.strokeStyle = strong ? palette.text : palette.accent;
  context.lineWidth = strong ? 2 : 1.5;
  context.beginPath();
  context.roundRect(bar.x - 1, bar.y - 1, bar.width + 2, bar.height + 2, bar.radius + 1);
  context.stroke();
}
