/**
 * Masking: each byte of a secret becomes `*`, so that lengths stay true and the
 * masked bytes parse to the same message.
 */
import type { SecretMarks } from '../../src/event.ts';

export interface Range {
  readonly start: number;
  readonly end: number;
  /** What its secrets are told by. */
  readonly secrets?: SecretMarks;
}

/** A message's head; its body, as decoded of the transfer coding, or a binary message; what is text. */
export type SecretPart = 'head' | 'body' | 'text';

/** Where secrets are. */
export type LocateSecrets = (part: SecretPart, bytes: Buffer) => readonly Range[];

export const MASK = 0x2a;
const NO_SECRETS: SecretMarks = [];
/** A run of this many masks counts as one masked secret, in live bytes and in a masked capture alike. */
const RUN = Buffer.alloc(6, MASK);

export function fillRanges(bytes: Buffer, ranges: readonly Range[]): void {
  for (const { start, end } of ranges) bytes.fill(MASK, Math.max(0, start), Math.min(end, bytes.length));
}

/** `bytes` itself where there is nothing to mask, else a masked copy. */
export function masked(bytes: Buffer, ranges: readonly Range[]): Buffer {
  if (ranges.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  fillRanges(copy, ranges);
  return copy;
}

export function countMasked(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(RUN); at !== -1; at = bytes.indexOf(RUN, at)) {
    count++;
    while (bytes[at] === MASK) at++;
  }
  return count;
}

export function secretsOf(ranges: readonly Range[]): SecretMarks {
  return ranges.length === 0 ? NO_SECRETS : ranges.flatMap(({ secrets }) => secrets ?? []);
}
