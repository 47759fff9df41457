/** Below this a pixel is less than a picosecond wide and a double no longer separates two of them. */
export const MIN_SPAN_NS = 1_000;

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Time to pixels and back: immutable, `toPx` and `toTime` are inverse. */
export class TimeScale {
  readonly from: number;
  readonly to: number;
  readonly widthPx: number;
  readonly #nsPerPx: number;

  constructor(span: Span, widthPx: number) {
    this.from = span.from;
    this.to = Math.max(span.to, span.from + MIN_SPAN_NS);
    this.widthPx = Math.max(1, widthPx);
    this.#nsPerPx = (this.to - this.from) / this.widthPx;
  }

  get nsPerPx(): number {
    return this.#nsPerPx;
  }

  toPx(time: number): number {
    return (time - this.from) / this.#nsPerPx;
  }

  toTime(px: number): number {
    return this.from + px * this.#nsPerPx;
  }
}

/** The time under `anchor` stays where it is; a factor above 1 shows more time. */
export function zoom(span: Span, factor: number, anchor: number): Span {
  const width = span.to - span.from;
  const wanted = Math.max(MIN_SPAN_NS, width * factor);
  const share = width > 0 ? (anchor - span.from) / width : 0.5;
  const from = anchor - share * wanted;
  return { from, to: from + wanted };
}

export function pan(span: Span, deltaNs: number): Span {
  return { from: span.from + deltaNs, to: span.to + deltaNs };
}

/** Keeps the window's width, and at least a tenth of it on the data. */
export function clampTo(span: Span, bounds: Span): Span {
  const extent = Math.max(MIN_SPAN_NS, bounds.to - bounds.from);
  const width = Math.min(Math.max(MIN_SPAN_NS, span.to - span.from), extent * 4);
  const margin = width * 0.9;
  const from = Math.min(Math.max(span.from, bounds.from - margin), bounds.to - width + margin);
  return { from, to: from + width };
}

/** The whole of the data with a little air at both ends. */
export function fit(bounds: Span): Span {
  const width = Math.max(bounds.to - bounds.from, MIN_SPAN_NS);
  return { from: bounds.from - width * 0.015, to: bounds.from + width * 1.02 };
}

export function sameSpan(a: Span, b: Span): boolean {
  return a.from === b.from && a.to === b.to;
}
