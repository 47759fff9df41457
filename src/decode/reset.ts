/** How the kernel says that a connection was reset. */
import type { Direction, Resettable } from '../event.ts';
import { RESET } from './layout.ts';

/** States of TCP in which the other side had ended its direction, and in which this side had. */
const READ_ENDED: ReadonlySet<number> = new Set([6, 8, 9, 11]);
const WRITE_ENDED: ReadonlySet<number> = new Set([4, 5, 6, 9, 11]);

const BY: Readonly<Record<number, 'peer' | 'program'>> = { [RESET.RESET_RECEIVED]: 'peer', [RESET.RESET_SENT]: 'program' };

/** Of the two bytes at `at`: who, and the state before. */
export function readReset(view: DataView, at: number): Resettable {
  const by = BY[view.getUint8(at)];
  if (by === undefined) return {};
  const state = view.getUint8(at + 1);
  const unfinished: Direction[] = [];
  if (!READ_ENDED.has(state)) unfinished.push('read');
  if (!WRITE_ENDED.has(state)) unfinished.push('write');
  return { reset: { by, unfinished } };
}
