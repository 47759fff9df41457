/**
 * The samples of one process as columns, each as wide as its interval and as high as the share of a processor that was
 * used. Of a root its whole tree is drawn.
 */
import type { Lane } from './lanes.ts';
import { eachMark } from './marks.ts';
import { number } from './read.ts';
import type { Row } from './row.ts';
import type { Scene } from './scene.ts';
import type { Track } from './track.ts';

const NS_PER_MS = 1e6;
/** More than one processor fills the lane. */
const FULL_PERCENT = 100;

export function drawUsage(scene: Scene, lane: Lane, track: Track): void {
  const { context, palette, scale } = scene;
  const [line] = track.lines(scene.filter);
  if (line === undefined) return;
  // Both samples of a root have the same time.
  const kind = track.rows.slice(0, 2).some((row) => row.kind === 'TREE') ? 'TREE' : 'PROCESS';
  const bottom = lane.y - scene.scrollTop + lane.lineHeight - 2;
  const paint = (index: number): number => {
    const { kind: own, data, t, tone } = track.rows[index] as Row;
    const right = scale.toPx(t);
    if (own !== kind || data === null) return right;
    const left = scale.toPx(t - number(data, 'interval_ms') * NS_PER_MS);
    const share = Math.min(1, number(data, 'cpu_percent') / FULL_PERCENT);
    const height = Math.max(1, Math.round(share * (lane.lineHeight - 4)));
    context.fillStyle = tone === 'plain' ? palette.process : palette.warn;
    context.fillRect(left, bottom - height, Math.max(1, right - left - (right - left > 4 ? 1 : 0)), height);
    return right;
  };
  eachMark(line.all, scale, paint);
  // Its interval may reach into the window though its own time lies behind that.
  const next = line.all.reaching(scale.toTime(scale.widthPx));
  if (next < line.all.length) paint(line.all.indexAt(next));
}
