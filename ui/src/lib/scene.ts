/** Everything that one drawing of the lanes shows. */
import type { Filter } from './filter.ts';
import type { Group } from './lanes.ts';
import type { Palette } from './palette.ts';
import type { Row } from './row.ts';
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
  readonly selected: Row | null;
  readonly selectedProcess: string | null;
  readonly hovered: Row | null;
}
