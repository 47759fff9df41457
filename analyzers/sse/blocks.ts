/**
 * Cuts an event stream into blocks, each ended by an empty line: the unit in
 * which events arrive (WHATWG HTML §9.2.5). Lines end in CRLF, LF or CR, split
 * anywhere; a block ends at the CR when there is one, so that nothing waits for
 * an LF that may never come.
 */
import { grown } from '../grown.ts';
const LF = 0x0a;
const CR = 0x0d;
const NOTHING = Buffer.alloc(0);
const KEPT_BYTES = 64 * 1024;

export interface Block {
  /** A view, valid during the call. */
  readonly bytes: Buffer;
  /** Where it is among the bytes that were seen of the stream. */
  readonly start: number;
  readonly end: number;
  /**
   * `cut`: as many bytes of a longer block as the limit allows; the others follow as
   * `rest`, in pieces no larger. `unfinished`: the stream ended in it, or bytes of it are missing.
   */
  readonly kind: 'whole' | 'cut' | 'rest' | 'unfinished';
}

export interface BlockSplitter {
  readonly limitBytes: number;
  readonly onBlock: (block: Block) => void;
  /** Bytes that were seen of the stream before the buffer being read. */
  position: number;
  /** Where the current block began, and what of it came in earlier buffers. */
  start: number;
  gathered: Buffer;
  length: number;
  kind: Block['kind'];
  lineEmpty: boolean;
  afterCr: boolean;
}

export function createBlockSplitter(limitBytes: number, onBlock: (block: Block) => void): BlockSplitter {
  return {
    limitBytes, onBlock, position: 0, start: 0, gathered: NOTHING, length: 0,
    kind: 'whole', lineEmpty: true, afterCr: false,
  };
}

export function split(s: BlockSplitter, bytes: Buffer, start: number, end: number): void {
  let from = start;
  let lineFeed = -1;
  let carriageReturn = -1;
  for (let at = start; at < end;) {
    const isRest = s.afterCr && bytes[at] === LF;
    s.afterCr = false;
    if (isRest) at++;
    if (lineFeed < at) lineFeed = nextOf(LF, bytes, at, end);
    if (carriageReturn < at) carriageReturn = nextOf(CR, bytes, at, end);
    const lineEnd = Math.min(lineFeed, carriageReturn);
    const isEmpty = s.lineEmpty && lineEnd === at;
    s.lineEmpty = isEmpty || lineEnd < end;
    if (lineEnd === end) break;
    at = lineEnd + 1;
    s.afterCr = lineEnd === carriageReturn;
    if (!isEmpty) continue;
    endBlock(s, bytes, from, at, s.position + at - start);
    from = at;
  }
  if (from < end) gather(s, bytes, from, end);
  s.position += end - start;
}

/** Where the byte is next before `end`, or `end`. */
function nextOf(byte: number, bytes: Buffer, at: number, end: number): number {
  const found = bytes.indexOf(byte, at);
  return found === -1 || found > end ? end : found;
}

/** Bytes of the stream are missing here: up to the next empty line there is no event. */
export function breakBlock(s: BlockSplitter): void {
  flush(s);
  s.kind = 'unfinished';
  s.lineEmpty = false;
  s.afterCr = false;
}

/** Gives the unfinished last block, if there is one. */
export function flush(s: BlockSplitter): void {
  if (s.length === 0) return;
  if (s.kind === 'whole') s.kind = 'unfinished';
  give(s, s.gathered.subarray(0, s.length), s.position);
}

function endBlock(s: BlockSplitter, bytes: Buffer, from: number, to: number, end: number): void {
  if (s.length === 0 && to - from <= s.limitBytes) {
    give(s, bytes.subarray(from, to), end);
  } else {
    gather(s, bytes, from, to);
    give(s, s.gathered.subarray(0, s.length), end);
  }
  s.kind = 'whole';
  // One long block must not keep its memory for the rest of a long stream.
  if (s.gathered.length > KEPT_BYTES) s.gathered = NOTHING;
}

function give(s: BlockSplitter, bytes: Buffer, end: number): void {
  s.onBlock({ bytes, start: s.start, end, kind: s.kind });
  s.start = end;
  s.length = 0;
}

function gather(s: BlockSplitter, bytes: Buffer, from: number, to: number): void {
  for (let at = from; at < to;) {
    if (s.length === s.limitBytes) giveCut(s);
    const end = Math.min(to, at + s.limitBytes - s.length);
    append(s, bytes, at, end);
    at = end;
  }
}

function giveCut(s: BlockSplitter): void {
  if (s.kind === 'whole') s.kind = 'cut';
  give(s, s.gathered.subarray(0, s.length), s.start + s.length);
  if (s.kind === 'cut') s.kind = 'rest';
}

function append(s: BlockSplitter, bytes: Buffer, from: number, to: number): void {
  const length = s.length + to - from;
  s.gathered = grown(s.gathered, s.length, length, s.limitBytes);
  bytes.copy(s.gathered, s.length, from, to);
  s.length = length;
}
