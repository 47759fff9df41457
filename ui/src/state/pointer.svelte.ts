/** The mouse on the timeline: hover, click, drag to move, shift-drag to measure, wheel to zoom. */
import type { Hit } from '../lib/hit.ts';
import type { TimeScale } from '../lib/time-scale.ts';
import type { Workspace } from './workspace.svelte.ts';

/** A press that moves less than this is a click. */
const CLICK_PX = 4;
/** One notch of a wheel (about 100 units) zooms by a quarter. */
const ZOOM_PER_UNIT = 0.0022;
/** Units of a line and a page, for wheels that count in them. */
const UNITS = [1, 16, 400] as const;

export interface PointerOptions {
  readonly workspace: Workspace;
  readonly scale: () => TimeScale;
  readonly hit: (x: number, y: number) => Hit | null;
  readonly scrollBy: (deltaPx: number) => void;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

interface Press {
  readonly start: Point;
  readonly last: Point;
  readonly mode: 'pan' | 'measure';
  readonly moved: boolean;
}

export function createPointer(options: PointerOptions) {
  const { workspace } = options;
  let press: Press | null = null;
  const state = $state<{ at: Point | null; dragging: boolean }>({ at: null, dragging: false });
  let hit = $state.raw<Hit | null>(null);

  function down(event: PointerEvent): void {
    if (event.button !== 0) return;
    if (event.currentTarget instanceof HTMLElement) event.currentTarget.setPointerCapture(event.pointerId);
    const start = pointOf(event);
    press = { start, last: start, mode: event.shiftKey ? 'measure' : 'pan', moved: false };
  }

  function move(event: PointerEvent): void {
    const at = pointOf(event);
    state.at = at;
    workspace.hoverTime = options.scale().toTime(at.x);
    if (press === null) {
      hit = options.hit(at.x, at.y);
      workspace.hoveredId = hit?.row?.id ?? null;
      return;
    }
    const moved = press.moved || Math.hypot(at.x - press.start.x, at.y - press.start.y) > CLICK_PX;
    if (moved) drag(press, at);
    state.dragging = moved;
    press = { ...press, last: at, moved };
  }

  function drag(from: Press, at: Point): void {
    const scale = options.scale();
    if (from.mode === 'measure') {
      const times = [scale.toTime(from.start.x), scale.toTime(at.x)] as const;
      workspace.range = { from: Math.min(...times), to: Math.max(...times) };
      return;
    }
    const shift = (from.last.x - at.x) * scale.nsPerPx;
    workspace.show({ from: scale.from + shift, to: scale.to + shift });
    options.scrollBy(from.last.y - at.y);
  }

  function up(event: PointerEvent): void {
    const was = press;
    press = null;
    state.dragging = false;
    if (was === null || was.moved) return;
    const at = pointOf(event);
    const found = options.hit(at.x, at.y);
    workspace.range = null;
    if (found === null) workspace.select(null);
    else if (found.row === null) workspace.select({ kind: 'process', key: found.group.tree.node.key });
    else workspace.select({ kind: 'event', id: found.row.id });
  }

  function leave(): void {
    press = null;
    hit = null;
    state.at = null;
    state.dragging = false;
    workspace.hoverTime = null;
    workspace.hoveredId = null;
  }

  function wheel(event: WheelEvent): void {
    event.preventDefault();
    const unit = UNITS[event.deltaMode] ?? 1;
    const scale = options.scale();
    if (event.shiftKey) {
      // Some systems turn the wheel sideways while shift is held.
      options.scrollBy((event.deltaY || event.deltaX) * unit);
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const shift = event.deltaX * unit * scale.nsPerPx;
      workspace.show({ from: scale.from + shift, to: scale.to + shift });
    } else {
      workspace.zoomBy(Math.exp(event.deltaY * unit * ZOOM_PER_UNIT), scale.toTime(event.offsetX));
    }
  }

  return {
    down, move, up, leave, wheel,
    state: {
      get at() { return state.at; },
      get dragging() { return state.dragging; },
      get hit() { return hit; },
    },
  };
}

function pointOf(event: PointerEvent): Point {
  return { x: event.offsetX, y: event.offsetY };
}
