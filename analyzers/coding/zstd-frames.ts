/** Where the frames of a Zstandard stream begin and end (RFC 8878 §3.1), to check each header before it is believed. */
import { NOTHING } from './stage.ts';

/** What a decoder must support at most for HTTP (RFC 9659). */
const WINDOW_BYTES = 8 * 1024 * 1024;
const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEADER_BYTES = 3;
const RLE = 1;

export interface ZstdFrames {
  place: 'header' | 'block' | 'skip';
  /** A header that is not all there yet. */
  gathered: Buffer;
  /** Bytes to pass over, and what is after them. */
  left: number;
  after: 'header' | 'block';
  checksum: boolean;
  /** The largest window that was asked for. */
  windowBytes: number;
}

export function createZstdFrames(): ZstdFrames {
  return { place: 'header', gathered: NOTHING, left: 0, after: 'header', checksum: false, windowBytes: 0 };
}

/** The bytes, but for a header that is not whole and with the one that was held back; or why they are refused. */
export function walkFrames(frames: ZstdFrames, bytes: Buffer): Buffer | string {
  const all = frames.gathered.length === 0 ? bytes : Buffer.concat([frames.gathered, bytes]);
  frames.gathered = NOTHING;
  let at = 0;
  while (at < all.length) {
    if (frames.place === 'skip') {
      const count = Math.min(frames.left, all.length - at);
      at += count;
      frames.left -= count;
      if (frames.left === 0) frames.place = frames.after;
      continue;
    }
    const length = frames.place === 'header' ? readHeader(frames, all.subarray(at)) : readBlock(frames, all.subarray(at));
    if (typeof length === 'string') return length;
    if (length === 0) {
      frames.gathered = Buffer.from(all.subarray(at));
      return all.subarray(0, at);
    }
    at += length;
  }
  return all;
}

function skip(frames: ZstdFrames, count: number, after: 'header' | 'block'): void {
  frames.place = count === 0 ? after : 'skip';
  frames.left = count;
  frames.after = after;
}

/** Length of the header, 0 while it is not whole, or why it is refused. */
function readHeader(frames: ZstdFrames, bytes: Buffer): number | string {
  if (bytes.length < 5) return 0;
  const magic = bytes.readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
    if (bytes.length < 8) return 0;
    skip(frames, bytes.readUInt32LE(4), 'header');
    return 8;
  }
  if (magic !== MAGIC) return 'data is damaged';
  const flags = bytes[4] as number;
  const single = (flags & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] as number;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][flags >> 6] as number;
  const length = 5 + (single ? 0 : 1) + dictionaryBytes + sizeBytes;
  if (bytes.length < length) return 0;
  if (dictionaryBytes > 0) return 'needs a dictionary';
  const windowBytes = single ? sizeOf(bytes, length - sizeBytes, sizeBytes) : windowOf(bytes[5] as number);
  if (windowBytes > WINDOW_BYTES) return `asks for a window of ${windowBytes} bytes`;
  frames.windowBytes = Math.max(frames.windowBytes, windowBytes);
  frames.checksum = (flags & 4) !== 0;
  frames.place = 'block';
  return length;
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function sizeOf(bytes: Buffer, at: number, length: number): number {
  if (length === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, length) + (length === 2 ? 256 : 0);
}

function readBlock(frames: ZstdFrames, bytes: Buffer): number {
  if (bytes.length < BLOCK_HEADER_BYTES) return 0;
  const header = bytes.readUIntLE(0, BLOCK_HEADER_BYTES);
  const last = (header & 1) === 1;
  const size = ((header >> 1) & 3) === RLE ? 1 : header >> 3;
  skip(frames, size + (last && frames.checksum ? 4 : 0), last ? 'header' : 'block');
  return BLOCK_HEADER_BYTES;
}
