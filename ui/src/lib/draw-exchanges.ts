/** Paints exchanges as bars: hollow while it waits for the first byte, with the outcome at its end. */
import { type Bar, fillBar } from './draw-shapes.ts';
import type { Lane } from './lanes.ts';
import { eachMark } from './marks.ts';
import type { Palette } from './palette.ts';
import type { Row } from './row.ts';
import type { Series } from './series.ts';
import type { Track } from './track.ts';
import type { Scene } from './scene.ts';

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
  drawLabel(scene, row, bar, { middle, withHost });
}

function toneColour(palette: Palette, row: Row): string {
  return row.tone === 'error' ? palette.error : row.tone === 'warn' ? palette.warn : palette.http;
}

const LABEL_LEAST_PX = 30;
const PADDING_PX = 6;
const GAP_PX = 7;

interface Word {
  readonly text: string;
  readonly font: 'font' | 'boldFont';
  readonly strength: number;
}

/** From the bar's visible left, over both of its parts: each letter in the colour that is read on what lies below it. */
function drawLabel(scene: Scene, row: Row, bar: Bar, options: { readonly middle: number; readonly withHost: boolean }): void {
  const { context, palette, scale } = scene;
  const left = Math.max(0, bar.x);
  const right = Math.min(scale.widthPx, bar.x + bar.width - CAP_PX - 1);
  if (right - left < LABEL_LEAST_PX || row.http === null) return;
  const words = fitting(scene, row, { widthPx: right - left - PADDING_PX - 2, withHost: options.withHost });
  const parts = [[left, Math.min(right, options.middle), palette.text], [Math.max(left, options.middle), right, palette['on-bar']]] as const;
  context.textBaseline = 'middle';
  for (const [from, to, colour] of parts) {
    if (to - from < 1) continue;
    context.save();
    context.beginPath();
    context.rect(from, bar.y, to - from, bar.height);
    context.clip();
    context.fillStyle = colour;
    let x = left + PADDING_PX;
    for (const word of words) {
      context.font = palette[word.font];
      context.globalAlpha = word.strength;
      context.fillText(word.text, x, bar.y + bar.height / 2 + 0.5);
      x += textWidth(context, word.text) + GAP_PX;
    }
    context.restore();
  }
}

/** Method, host, path and outcome; with less room the outcome goes first, then the method, then the path is cut. */
function fitting(scene: Scene, row: Row, room: { readonly widthPx: number; readonly withHost: boolean }): readonly Word[] {
  const { host, path } = row.http ?? { host: '', path: '' };
  const method: Word = { text: row.kind, font: 'boldFont', strength: 1 };
  const target: Word = { text: room.withHost ? `${host}${path}` : path, font: 'font', strength: 1 };
  const after: Word = { text: outcome(row), font: 'font', strength: 0.8 };
  const choices: readonly (readonly Word[])[] = [[method, target, after], [method, target], [target]];
  const choice = choices.find((words) => widthOf(scene, words) <= room.widthPx);
  if (choice !== undefined) return choice;
  const share = room.widthPx / widthOf(scene, [target]);
  return [{ ...target, text: `${target.text.slice(0, Math.max(1, Math.floor(target.text.length * share) - 1))}…` }];
}

function widthOf(scene: Scene, words: readonly Word[]): number {
  return words.reduce((sum, word) => {
    scene.context.font = scene.palette[word.font];
    return sum + textWidth(scene.context, word.text);
  }, GAP_PX * (words.length - 1));
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
