/** Paints what lies over and around the lanes: axis, grid, bands of loss and blindness, selection. */
import type { Gap } from './gaps.ts';
import { type Overview } from './overview.ts';
import type { Palette } from './palette.ts';
import type { Row } from './row.ts';
import type { Tick } from './ticks.ts';
import { type Span, TimeScale } from './time-scale.ts';

export const AXIS_HEIGHT = 26;
export const OVERVIEW_HEIGHT = 40;
/** About the width of a digit of the axis: its labels are digits, colons and a point. */
const DIGIT_PX = 6.3;
export const OVERVIEW_COLUMN_PX = 3;
/** A loss has a moment, not a length; the band must still be seen. */
export const LOSS_WIDTH_PX = 10;

interface Base {
  readonly context: CanvasRenderingContext2D;
  readonly palette: Palette;
  readonly scale: TimeScale;
  readonly heightPx: number;
}

export function drawGrid(base: Base, ticks: readonly Tick[]): void {
  base.context.fillStyle = base.palette.line;
  for (const tick of ticks) base.context.fillRect(Math.round(base.scale.toPx(tick.time)), 0, 1, base.heightPx);
}

export function drawAxis(base: Base, ticks: readonly Tick[]): void {
  const { context, palette, scale } = base;
  context.font = palette.font;
  context.textBaseline = 'middle';
  for (const tick of ticks) {
    const x = Math.round(scale.toPx(tick.time));
    context.fillStyle = palette['line-strong'];
    context.fillRect(x, AXIS_HEIGHT - 6, 1, 6);
    context.fillStyle = palette.muted;
    // A label that is cut off reads as another time.
    if (x + 5 + tick.label.length * DIGIT_PX <= scale.widthPx) context.fillText(tick.label, x + 5, AXIS_HEIGHT / 2);
  }
}

/** Each loss was reported at `t`: what is missing lies just before it. */
export function drawLoss(base: Base, losses: readonly Row[]): void {
  const { context, palette, scale, heightPx } = base;
  let painted = Number.NaN;
  for (const row of losses) {
    const right = Math.round(scale.toPx(row.t));
    if (right === painted || right < -LOSS_WIDTH_PX || right > scale.widthPx + LOSS_WIDTH_PX) continue;
    painted = right;
    context.fillStyle = palette.lossHatch;
    context.fillRect(right - LOSS_WIDTH_PX, 0, LOSS_WIDTH_PX, heightPx);
    context.fillStyle = palette.loss;
    context.fillRect(right - 1, 0, 1, heightPx);
  }
}

export function drawGaps(base: Base, gaps: readonly Gap[]): void {
  const { context, palette, scale, heightPx } = base;
  for (const gap of gaps) {
    const left = Math.max(0, scale.toPx(gap.from));
    const right = Math.min(scale.widthPx, Math.max(scale.toPx(gap.to), scale.toPx(gap.from) + 6));
    if (right < 0 || left > scale.widthPx) continue;
    if (gap.state === 'filled') {
      // Nothing is missing any more; a thin line says that it arrived late.
      context.fillStyle = palette.blind;
      context.fillRect(left, heightPx - 3, right - left, 3);
      continue;
    }
    context.fillStyle = palette.blindHatch;
    context.fillRect(left, 0, right - left, heightPx);
  }
}

/** What lies before the oldest event in memory is known to the hub, not to the page. */
export function drawUnloaded(base: Base, untilNs: number | null): void {
  if (untilNs === null) return;
  const right = Math.min(base.scale.widthPx, base.scale.toPx(untilNs));
  if (right <= 0) return;
  base.context.fillStyle = base.palette.hover;
  base.context.fillRect(0, 0, right, base.heightPx);
}

export function drawSelection(base: Base, range: Span | null): void {
  if (range === null) return;
  const { context, palette, scale, heightPx } = base;
  const left = scale.toPx(range.from);
  const right = scale.toPx(range.to);
  context.fillStyle = palette['accent-soft'];
  context.fillRect(left, 0, right - left, heightPx);
  context.fillStyle = palette.accent;
  context.fillRect(Math.round(left), 0, 1, heightPx);
  context.fillRect(Math.round(right) - 1, 0, 1, heightPx);
}

export function drawNow(base: Base, nowNs: number | null): void {
  if (nowNs === null) return;
  const x = Math.round(base.scale.toPx(nowNs));
  if (x < 0 || x > base.scale.widthPx) return;
  base.context.fillStyle = base.palette.accent;
  base.context.fillRect(x, 0, 1, base.heightPx);
}

export function drawOverview(base: Base, overview: Overview, losses: readonly Row[]): void {
  const { context, palette, scale, heightPx } = base;
  const floor = heightPx - 5;
  const rise = (count: number): number => Math.max(1.5, Math.sqrt(count / overview.peak) * (floor - 5));
  const columns = (counts: Uint32Array, colour: string): void => {
    context.fillStyle = colour;
    for (const [column, count] of counts.entries()) if (count > 0) context.fillRect(column * OVERVIEW_COLUMN_PX, floor - rise(count), 2, rise(count));
  };
  context.globalAlpha = 0.55;
  columns(overview.all, palette.stdout);
  context.globalAlpha = 1;
  columns(overview.net, palette.http);
  context.fillStyle = palette.error;
  for (const [column, count] of overview.errors.entries()) if (count > 0) context.fillRect(column * OVERVIEW_COLUMN_PX, floor + 1, 2, 3);
  context.fillStyle = palette.loss;
  for (const row of losses) context.fillRect(Math.round(scale.toPx(row.t)) - 1, 0, 2, heightPx);
}
