/** Memory for bytes that are gathered piece by piece. */
const LEAST_BYTES = 512;

/** `bytes` itself where it has room for `length`, else more with the first `used` of it: twice as much at the least, and no more than `limit`. */
export function grown(bytes: Buffer, used: number, length: number, limit = Infinity): Buffer {
  if (length <= bytes.length) return bytes;
  const larger = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(length, 2 * bytes.length, LEAST_BYTES)));
  bytes.copy(larger, 0, 0, used);
  return larger;
}
