/**
 * Messages of gRPC that are compressed by themselves (gRPC over HTTP/2, "Message
 * Encoding"; gRPC-Web and Connect frame theirs alike). No mask can be
 * put into them, whatever secrets they hold: whoever masks a body masks them whole.
 */
import type { Range } from '../http/mask.ts';

const PREFIX_BYTES = 5;
/** In the first byte of the prefix. */
const COMPRESSED = 1;
const FRAMED = /^application\/(?:grpc|grpc-web|grpc-web-text|connect)(?:$|[+; ])/i;

/** Where in its messages a body is, however it is split. */
export interface Place {
  /** Of the message that is to come or has begun, `prefixBytes` of them. */
  readonly prefix: Buffer;
  prefixBytes: number;
  /** Of its content, once its prefix is whole. */
  left: number;
  /** Messages so far that are compressed and not empty. */
  compressed: number;
}

export function createPlace(): Place {
  return { prefix: Buffer.alloc(PREFIX_BYTES), prefixBytes: 0, left: 0, compressed: 0 };
}

/** Goes on by these bytes; returns where contents of compressed messages are in them. */
export function advance(place: Place, bytes: Buffer): Range[] {
  const ranges: Range[] = [];
  for (let at = 0; at < bytes.length;) {
    const isContent = place.prefixBytes === PREFIX_BYTES;
    const end = Math.min(bytes.length, at + (isContent ? place.left : PREFIX_BYTES - place.prefixBytes));
    if (isContent && isCompressed(place)) ranges.push({ start: at, end });
    if (!isContent) bytes.copy(place.prefix, place.prefixBytes, at, end);
    pass(place, end - at);
    at = end;
  }
  return ranges;
}

/** Goes on by `count` bytes that are not there. False where one of them is of a prefix: nobody knows any more where the next message begins. */
export function skip(place: Place, count: number): boolean {
  if (place.prefixBytes < PREFIX_BYTES || count > place.left) return false;
  pass(place, count);
  return true;
}

function pass(place: Place, count: number): void {
  if (place.prefixBytes === PREFIX_BYTES) {
    place.left -= count;
  } else {
    place.prefixBytes += count;
    if (place.prefixBytes < PREFIX_BYTES) return;
    place.left = place.prefix.readUInt32BE(1);
    if (isCompressed(place) && place.left > 0) place.compressed++;
  }
  if (place.left === 0) place.prefixBytes = 0;
}

function isCompressed({ prefix }: Place): boolean {
  return ((prefix[0] ?? 0) & COMPRESSED) !== 0;
}

/**
 * Where compressed messages are in a body. Without a known type, one that begins as
 * no text does may be gRPC, of which the head was not captured. `aligned`: no byte before
 * is missing; after a gap nothing tells where a message begins.
 */
export function compressedRanges(body: Buffer, type: string | undefined, aligned: boolean): readonly Range[] {
  if (!mayBeFramed(body, type)) return [];
  return aligned ? advance(createPlace(), body) : [{ start: 0, end: body.length }];
}

/** By its type; without one, by its first byte. */
export function mayBeFramed(body: Buffer, type: string | undefined): boolean {
  const [first] = body;
  return first !== undefined && (type === undefined ? first <= COMPRESSED : FRAMED.test(type));
}
