/** The masking of a client's payloads (RFC 6455 §5.3): each byte XORed with one of the key, by its place in the payload. */
import { MASK } from '../http/mask.ts';

/** The payload's bytes from `offset` on, unmasked: a copy. Without a key, the bytes themselves. */
export function unmask(bytes: Buffer, key: Buffer | null, offset: number): Buffer {
  if (key === null) return bytes;
  const plain = Buffer.allocUnsafeSlow(bytes.length);
  for (let i = 0; i < bytes.length; i++) plain[i] = (bytes[i] ?? 0) ^ (key[(offset + i) & 3] ?? 0);
  return plain;
}

/** What stands on the wire for `count` bytes of `*` from `offset` on. */
export function maskedStars(count: number, key: Buffer, offset: number): Buffer {
  return unmask(Buffer.alloc(count, MASK), key, offset);
}
