/** A header block (RFC 9113 §4.3), joined of the frames that it came in. */
import { grown } from '../grown.ts';
import { type WireMap, addPiece, createWireMap } from '../http/wire-map.ts';

/** A header block as it came: its bytes, and where on the wire they were. */
export interface Block {
  readonly stream: number;
  readonly endStream: boolean;
  /** The stream that a PUSH_PROMISE announces, else 0. */
  readonly promised: number;
  bytes: Buffer;
  /** How long it is, and how much of that is in `bytes`. */
  length: number;
  kept: number;
  readonly wire: WireMap;
  /** Why it cannot be read. */
  fault: string | null;
}

export const BAD_BLOCK = 'header block that cannot be read';
export const LONG_BLOCK = 'head over the limit';
const NOTHING = Buffer.alloc(0);

export function createBlock(stream: number, promised: number, endStream: boolean): Block {
  return { stream, promised, endStream, bytes: NOTHING, length: 0, kept: 0, wire: createWireMap(), fault: null };
}

/** The whole block, as nearly all come: a view, for who reads it before this call ends. */
export function viewBlock(block: Block, bytes: Buffer, position: number): void {
  block.bytes = bytes;
  block.length = bytes.length;
  block.kept = bytes.length;
  addPiece(block.wire, 0, position);
}

/** Returns whether the bytes are kept: a block over the limit cannot be read. */
export function addToBlock(block: Block, bytes: Buffer, position: number, limitBytes: number): boolean {
  const length = block.length + bytes.length;
  if (length > limitBytes) {
    block.fault = LONG_BLOCK;
    block.length = length;
    return false;
  }
  block.bytes = grown(block.bytes, block.length, length);
  addPiece(block.wire, block.length, position);
  bytes.copy(block.bytes, block.length);
  block.length = length;
  block.kept = length;
  return true;
}

/** `count` bytes of it are missing, or (`withheld`) not in the capture. */
export function missInBlock(block: Block, count: number, withheld: boolean, limitBytes: number): void {
  block.length += count;
  // What is withheld was there and could not be read, because of a gap perhaps: the gap is the reason.
  if (!withheld && (block.fault === null || block.fault === BAD_BLOCK)) block.fault = `gap of ${count} bytes`;
  block.fault ??= BAD_BLOCK;
  if (block.length > limitBytes) block.fault = LONG_BLOCK;
}
