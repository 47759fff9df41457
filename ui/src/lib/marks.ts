/** Which rows of a line are painted: at most one for each pixel column, found by binary search. */
import type { Series } from './series.ts';
import type { TimeScale } from './time-scale.ts';

/** Marks may reach this far into the window from outside of it. */
const MARGIN_PX = 6;

/**
 * Calls `paint` with the index of each row that adds something to the window.
 * It answers up to which pixel its mark covers; what ends before that is skipped.
 */
export function eachMark(series: Series, scale: TimeScale, paint: (index: number) => number): void {
  const until = scale.toTime(scale.widthPx + MARGIN_PX);
  let position = series.reaching(scale.toTime(-MARGIN_PX));
  while (position < series.length && series.startAt(position) <= until) {
    const covered = paint(series.indexAt(position));
    position = series.reaching(scale.toTime(covered), position + 1);
  }
}
