/**
 * Messages of gRPC that are compressed by themselves (gRPC over HTTP/2, "Message
 * Encoding"; gRPC-Web and Connect frame theirs alike). They are not decoded here,
 * so nobody can tell what secrets they hold: whoever masks a body masks them whole.
 */
import type { Range } from '../http/mask.ts';

const PREFIX_BYTES = 5;
/** In the first byte of the prefix. */
const COMPRESSED = 1;
const FRAMED = /^application\/(?:grpc|grpc-web|grpc-web-text|connect)(?:$|[+; ])/i;

/**
 * Where compressed messages are in a body. Without a known type, one that begins as
 * no text does may be gRPC, of which the head was not captured. `aligned`: no byte before
 * is missing; after a gap nothing tells where a message begins.
 */
export function compressedRanges(body: Buffer, type: string | undefined, aligned: boolean): readonly Range[] {
  if (!mayBeFramed(body, type)) return [];
  if (!aligned) return [{ start: 0, end: body.length }];
  const ranges: Range[] = [];
  for (let at = 0; at + PREFIX_BYTES < body.length;) {
    const start = at + PREFIX_BYTES;
    const end = Math.min(body.length, start + body.readUInt32BE(at + 1));
    if (((body[at] as number) & COMPRESSED) !== 0 && end > start) ranges.push({ start, end });
    at = end;
  }
  return ranges;
}

/** By its type; without one, by its first byte. */
export function mayBeFramed(body: Buffer, type: string | undefined): boolean {
  const [first] = body;
  return first !== undefined && (type === undefined ? first <= COMPRESSED : FRAMED.test(type));
}
