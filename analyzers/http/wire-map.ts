/**
 * Which wire bytes the bytes of a decoded body came from: pieces in order, each
 * contiguous on the wire. One piece for a body of known length, one per chunk
 * for a chunked one.
 */
export interface WireMap {
  readonly offsets: number[];
  readonly positions: number[];
}

export function createWireMap(): WireMap {
  return { offsets: [], positions: [] };
}

/** The body's bytes from `offset` on are on the wire from `position` on. Returns whether that made a new piece. */
export function addPiece(map: WireMap, offset: number, position: number): boolean {
  const last = map.offsets.length - 1;
  if (last >= 0 && position - offset === (map.positions[last] ?? 0) - (map.offsets[last] ?? 0)) return false;
  map.offsets.push(offset);
  map.positions.push(position);
  return true;
}

/** Calls back with the wire ranges of the body's bytes [start, end), in order. */
export function eachWireRange(
  map: WireMap, start: number, end: number, use: (start: number, end: number) => void,
): void {
  for (let i = pieceOf(map, start); i < map.offsets.length; i++) {
    const offset = map.offsets[i] ?? 0;
    const from = Math.max(start, offset);
    const to = Math.min(end, map.offsets[i + 1] ?? Infinity);
    if (offset >= end) return;
    const shift = (map.positions[i] ?? 0) - offset;
    if (from < to) use(from + shift, to + shift);
  }
}

/** The last piece that begins at or before `offset`. */
function pieceOf(map: WireMap, offset: number): number {
  let low = 0;
  let high = map.offsets.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((map.offsets[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return low;
}

/** Forgets the pieces before `offset`, of which nobody will ask any more. */
export function forgetBefore(map: WireMap, offset: number): void {
  const keep = pieceOf(map, offset);
  if (keep === 0) return;
  map.offsets.splice(0, keep);
  map.positions.splice(0, keep);
}
