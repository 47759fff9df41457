/**
 * The numbers of streams that ended last. In two sets, of which the younger becomes the older when it is full: a set
 * whose oldest is taken out each time finds it behind the gaps of all those taken out before.
 */

/** Late frames come within a round trip: the last so many are remembered, and up to as many more. */
const REMEMBERED_STREAMS = 4096;

export interface Recent {
  younger: Set<number>;
  older: Set<number>;
}

export function createRecent(): Recent {
  return { younger: new Set(), older: new Set() };
}

export function isRecent({ younger, older }: Recent, number: number): boolean {
  return younger.has(number) || older.has(number);
}

export function remember(recent: Recent, number: number): void {
  recent.younger.add(number);
  if (recent.younger.size < REMEMBERED_STREAMS) return;
  recent.older = recent.younger;
  recent.younger = new Set();
}
