/** Paints exchanges as bars: hollow while it waits for the first byte, with the outcome at its end. */
import { type Bar, fillBar } from './draw-shapes.ts';
import type { Lane } from './lanes.ts';
import { eachMark } from './marks.ts';
import type { Palette } from './palette.ts';
import type { Row } from './row.ts';
import type { Series } from './series.ts';
import type { Track } from './track.ts';
import type { Scene } from './draw.ts';

const LEAST_WIDTH_PX = 3;
const CAP_PX = 3;

export function drawExchanges(scene: Scene, lane: Lane, track: Track): void {
  for (const [line, { all, warnings, errors }] of track.lines(scene.filter).entries()) {
    const y = lane.y - scene.scrollTop + line * lane.lineHeight + 1;
    const height = lane.lineHeight - 3;
    // What failed is painted last, so that nothing hides it.
    for (const series of [all, warnings, errors]) drawLine(scene, track, series, { y, height });
  }
}

function drawLine(scene: Scene, track: Track, series: Series, place: { readonly y: number; readonly height: number }): void {
  eachMark(series, scene.scale, (index) => {
    const row = track.rows[index] as Row;
    const bar = exchangeBar(scene, row, place.y, place.height);
    drawExchange(scene, row, bar, track.manyHosts);
    return bar.x + bar.width;
  });
}

export function exchangeBar(scene: Scene, row: Row, y: number, height: number): Bar {
  const { scale } = scene;
  const left = Math.max(-4, scale.toPx(row.t));
  const right = Math.min(scale.widthPx + 4, scale.toPx(row.end));
  return { x: left, y, width: Math.max(LEAST_WIDTH_PX, right - left), height };
}

function drawExchange(scene: Scene, row: Row, bar: Bar, withHost: boolean): void {
  const { context, palette, scale } = scene;
  context.fillStyle = toneColour(palette, row);
  fillBar(context, bar);
  if (bar.width < 8) return;
  const middle = Math.min(bar.x + bar.width, Math.max(bar.x, scale.toPx(row.mid)));
  const waiting = Math.min(middle - bar.x, bar.width - 2) - 1;
  if (waiting > 1) {
    context.fillStyle = row.tone === 'error' ? palette['error-soft'] : row.tone === 'warn' ? palette['warn-soft'] : palette['http-soft'];
    context.fillRect(bar.x + 1, bar.y + 1, waiting, bar.height - 2);
  }
  const status = row.http?.status ?? null;
  if (status !== null && status < 400 && bar.width > 14) {
    context.fillStyle = status < 300 ? palette.process : palette.muted;
    context.fillRect(bar.x + bar.width - CAP_PX, bar.y, CAP_PX, bar.height);
  }
  drawLabel(scene, row, { left: bar.x, middle, right: bar.x + bar.width - CAP_PX, bar }, withHost);
}

function toneColour(palette: Palette, row: Row): string {
  return row.tone === 'error' ? palette.error : row.tone === 'warn' ? palette.warn : palette.http;
}

interface LabelPlace {
  readonly left: number;
  readonly middle: number;
  readonly right: number;
  readonly bar: Bar;
}

const LABEL_LEAST_PX = 34;
const PADDING_PX = 6;
/** With less room than this the method is left out before the path is. */
const METHOD_LEAST_PX = 110;
const GAP_PX = 7;

/** On the part of the bar with more room in the window: waiting or receiving. Method, path, then what came of it. */
function drawLabel(scene: Scene, row: Row, place: LabelPlace, withHost: boolean): void {
  const { context, palette, scale } = scene;
  const [left, middle, right] = [place.left, place.middle, place.right].map((x) => Math.min(Math.max(x, 0), scale.widthPx)) as [number, number, number];
  const onWaiting = middle - left > right - middle;
  const from = onWaiting ? left : middle;
  const width = (onWaiting ? middle : right) - from;
  if (width < LABEL_LEAST_PX || row.http === null) return;
  const { bar } = place;
  const baseline = bar.y + bar.height / 2 + 0.5;
  let x = from + PADDING_PX;
  context.save();
  context.beginPath();
  context.rect(from, bar.y, width - 3, bar.height);
  context.clip();
  context.textBaseline = 'middle';
  context.fillStyle = onWaiting ? palette.text : palette['on-bar'];
  const write = (text: string, font: string): void => {
    context.font = font;
    context.fillText(text, x, baseline);
    x += textWidth(context, text) + GAP_PX;
  };
  if (width >= METHOD_LEAST_PX) write(row.kind, palette.boldFont);
  write(withHost ? `${row.http.host}${row.http.path}` : row.http.path, palette.font);
  context.globalAlpha = 0.75;
  if (x < from + width - 24) write(outcome(row), palette.font);
  context.restore();
}

function outcome(row: Row): string {
  const { status, streamed } = row.http ?? { status: null, streamed: 0 };
  return [status ?? 'no response', streamed > 0 ? `${streamed} ev` : ''].filter((part) => part !== '').join(' · ');
}

/** Measuring costs more than painting; labels repeat. */
const WIDTHS_MAX = 2000;
const widths = new WeakMap<CanvasRenderingContext2D, Map<string, number>>();

function textWidth(context: CanvasRenderingContext2D, text: string): number {
  const known = widths.get(context) ?? new Map<string, number>();
  widths.set(context, known);
  const key = `${context.font}\n${text}`;
  let width = known.get(key);
  if (width === undefined) {
    if (known.size >= WIDTHS_MAX) known.clear();
    width = context.measureText(text).width;
    known.set(key, width);
  }
  return width;
}
