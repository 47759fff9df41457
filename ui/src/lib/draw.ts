/**
 * Paints the lanes of the timeline. Only what is visible is touched: of many
 * marks in one pixel column one is painted and the others are skipped by binary
 * search; an error or a warning among them is painted over it.
 */
import { drawExchanges, exchangeBar } from './draw-exchanges.ts';
import { fillBar, outline } from './draw-shapes.ts';
import { drawUsage } from './draw-usage.ts';
import { type Group, type Lane, LIFE_HEIGHT } from './lanes.ts';
import { eachMark } from './marks.ts';
import type { Palette } from './palette.ts';
import { failed } from './process-table.ts';
import type { Row } from './row.ts';
import type { Scene } from './scene.ts';
import type { Series } from './series.ts';
import type { Track } from './track.ts';

export function drawLanes(scene: Scene): void {
  for (const group of scene.groups) {
    drawGroupBack(scene, group);
    drawLife(scene, group);
    for (const lane of group.lanes) {
      for (const track of lane.tracks) {
        if (lane.source === 'http') drawExchanges(scene, lane, track);
        else if (lane.source === 'system') drawUsage(scene, lane, track);
        else drawTicks(scene, lane, track);
      }
    }
  }
  if (scene.hovered !== null && scene.hovered !== scene.selected) drawPointedAt(scene, scene.hovered, false);
  if (scene.selected !== null) drawPointedAt(scene, scene.selected, true);
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
    fillBar(context, { x: left, y, width, height: LIFE_HEIGHT - 12 });
    context.fillStyle = node.signal !== null ? palette.error : failed(node) ? palette.warn : palette.process;
    // The end carries the outcome: a cap when it ended, an open edge while it runs.
    if (node.end !== null) context.fillRect(Math.max(left, right - 3), y, 3, LIFE_HEIGHT - 12);
    context.fillStyle = palette.process;
    context.fillRect(left, y, Math.min(2, width), LIFE_HEIGHT - 12);
  }
  for (const track of group.marks) drawExecs(scene, group, track);
}

const DIAMOND_PX = 5;

/** Execs are diamonds on the bar; fork and exit are its two ends. */
function drawExecs(scene: Scene, group: Group, track: Track): void {
  const y = group.y - scene.scrollTop + LIFE_HEIGHT / 2;
  const [line] = track.lines(scene.filter);
  if (line === undefined) return;
  eachMark(line.all, scene.scale, (index) => {
    const row = track.rows[index] as Row;
    const x = scene.scale.toPx(row.t);
    if (row.kind !== 'EXEC') return x;
    diamond(scene, { x, y, size: DIAMOND_PX }, row.tone === 'plain' ? scene.palette.process : scene.palette.warn);
    return x + 1;
  });
}

function diamond(scene: Scene, at: { readonly x: number; readonly y: number; readonly size: number }, colour: string): void {
  const { context } = scene;
  const { x, y, size } = at;
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, y - size);
  context.lineTo(x + size, y);
  context.lineTo(x, y + size);
  context.lineTo(x - size, y);
  context.fill();
}

const TICK_PX = 2;

function drawTicks(scene: Scene, lane: Lane, track: Track): void {
  const [line] = track.lines(scene.filter);
  if (line === undefined) return;
  const place = { y: lane.y - scene.scrollTop + 1, height: lane.lineHeight - 3 };
  for (const series of [line.all, line.warnings, line.errors]) drawColumns(scene, track, series, place);
}

/** Ticks of one colour side by side become one rectangle: a dense lane costs as little as an empty one. */
function drawColumns(scene: Scene, track: Track, series: Series, place: { readonly y: number; readonly height: number }): void {
  const { context, palette, scale } = scene;
  let from = 0;
  let to = Number.NEGATIVE_INFINITY;
  let colour = '';
  const flush = (): void => {
    if (to < from) return;
    context.fillStyle = colour;
    context.fillRect(from, place.y, to - from, place.height);
  };
  eachMark(series, scale, (index) => {
    const row = track.rows[index] as Row;
    const x = Math.floor(scale.toPx(row.t));
    const next = tickColour(palette, row);
    if (next !== colour || x > to) {
      flush();
      from = x;
      colour = next;
    }
    to = x + TICK_PX;
    return x + 1;
  });
  flush();
}

function tickColour(palette: Palette, row: Row): string {
  if (row.tone === 'error') return palette.error;
  if (row.tone === 'warn') return palette.warn;
  if (row.source === 'sse') return palette.sse;
  if (row.source === 'websocket') return palette.websocket;
  if (row.source === 'mcp') return palette.mcp;
  if (row.source === 'tls') return palette.tls;
  if (row.source === 'net') return palette.net;
  if (row.source === 'file') return palette.file;
  if (row.source === 'signal') return palette.warn;
  if (row.source === 'readline') return palette.stdin;
  if (row.source === 'system') return palette.process;
  if (row.kind === 'stderr') return palette.stderr;
  return row.kind === 'stdin' ? palette.stdin : palette.stdout;
}

/** The selected or hovered mark, on top of all others. */
function drawPointedAt(scene: Scene, row: Row, strong: boolean): void {
  const { context, palette, scale } = scene;
  const group = scene.groups.find((item) => item.tree.node.key === row.process);
  if (group === undefined || row.end < scale.from || row.t > scale.to || !scene.filter.matches(row)) return;
  if (row.source === 'process') {
    const y = group.y - scene.scrollTop + LIFE_HEIGHT / 2;
    diamond(scene, { x: scale.toPx(row.t), y, size: DIAMOND_PX + 1.5 }, strong ? palette.text : palette.accent);
    return;
  }
  const lane = group.lanes.find((item) => item.source === row.source);
  if (lane === undefined) return;
  const y = lane.y - scene.scrollTop + 1;
  const height = lane.lineHeight - 3;
  if (row.source === 'http') {
    const bar = exchangeBar(scene, row, y + lineOf(lane, row) * lane.lineHeight, height);
    outline(context, palette, bar, strong);
    return;
  }
  const x = Math.floor(scale.toPx(row.t));
  context.fillStyle = tickColour(palette, row);
  context.fillRect(x, y, TICK_PX, height);
  outline(context, palette, { x, y, width: TICK_PX, height }, strong);
}

function lineOf(lane: Lane, row: Row): number {
  for (const track of lane.tracks) {
    const index = track.indexOf(row);
    if (index >= 0) return track.depthOf(index);
  }
  return 0;
}
