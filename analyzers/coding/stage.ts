/** One coding of a body: compressed bytes in, at any split, and at once all that they tell out. */

/** Takes output as a view, valid during the call; false: no more is wanted. */
export type Give = (bytes: Buffer) => boolean;

export interface Stage {
  /** Why the bytes cannot be decoded, or null. No call follows a reason. */
  push(bytes: Buffer, give: Give): string | null;
  /** Whether the bytes so far could be all. */
  whole(): boolean;
  /** Memory that decoding needs, as far as it is known by now. */
  memoryBytes(): number;
  close(): void;
}

export const DAMAGED = 'data is damaged';
export const AFTER_END = 'data goes on after its end';
export const NOTHING = Buffer.alloc(0);

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
