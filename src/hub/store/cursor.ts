/**
 * Cursors of the lists: the place of the last item in the list's own order, so
 * that a page neither repeats nor skips while events arrive.
 */

export interface EventPlace {
  readonly time: string;
  readonly sequence: string;
  readonly id: string;
}

export function encodeEventCursor(row: { readonly time: string; readonly id: string }): string {
  return Buffer.from(`${row.time} ${row.id}`).toString('base64url');
}

/** null when it is none of ours. */
export function decodeEventCursor(cursor: string): EventPlace | null {
  const match = /^(\d{1,19}) (.+)$/s.exec(Buffer.from(cursor, 'base64url').toString('utf8'));
  const time = match?.[1];
  const id = match?.[2];
  if (time === undefined || id === undefined) return null;
  return { time, id, sequence: sequenceOf(id) };
}

/** As the column `sequence` computes it: the number after the last dot, 0 where there is none. */
export function sequenceOf(id: string): string {
  const last = id.slice(id.lastIndexOf('.') + 1);
  return /^\d{1,20}$/.test(last) && BigInt(last) < 2n ** 64n ? last : '0';
}

/** Sessions and processes: time of the start, and the key. */
export function encodeKeyCursor(time: string, key: string): string {
  return Buffer.from(`${time} ${key}`).toString('base64url');
}

export function decodeKeyCursor(cursor: string): { readonly time: string; readonly key: string } | null {
  const place = decodeEventCursor(cursor);
  return place === null ? null : { time: place.time, key: place.id };
}
