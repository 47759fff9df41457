/**
 * Where frames begin and end in one direction of one HTTP/2 connection: an
 * incremental machine over bytes, split anywhere. Header blocks are joined over
 * CONTINUATION and handed over whole; DATA is handed over piece by piece,
 * without its padding. What a frame means is not its business.
 *
 * SETTINGS are not looked at: a sender tells the size of its header table in the
 * header block itself, and frames larger than allowed are read all the same. PRIORITY, PING, WINDOW_UPDATE
 * and unknown types are skipped.
 *
 * Where bytes make no sense or are missing, it says `onLost` and seeks a boundary that it can prove.
 */
import { BAD_BLOCK, type Block, addToBlock, createBlock, missInBlock, viewBlock } from './block.ts';
import {
  FLAG, FRAME_HEADER_BYTES, type FrameHead, PREFACE, TYPE, isPadded, isPossible, prefixOf, readFrameHead,
} from './frame.ts';
import { type Seeker, createSeeker, resetSeeker, seek, seekOver, trim } from './seek.ts';

/** What the parser found. Buffers are views, valid during the call alone; positions are wire bytes. */
export interface FrameHandler {
  /** The first byte of a frame's head, but for CONTINUATION. */
  onFrame(): void;
  onBlock(block: Block): void;
  onDataFrame(stream: number): void;
  onData(stream: number, bytes: Buffer, start: number, end: number, position: number): void;
  onDataMissing(stream: number, count: number, withheld: boolean, position: number): void;
  /** The frame is whole. `ended`: it was the stream's last in this direction. */
  onDataEnd(stream: number, ended: boolean): void;
  onReset(stream: number, code: number): void;
  onGoaway(lastStream: number, code: number): void;
  /** The nine bytes from here on are no frame's head. */
  onBadHead(position: number): void;
  /** Frames are missing from here on; those after them will be found. */
  onLost(reason: string): void;
  /** Bytes that nobody reads: they cannot be told or do not matter. */
  onUnread(from: number, to: number): void;
  /** All before `position` is done with, but for what bodies still keep. */
  onRead(position: number): void;
}

export interface FrameLimits {
  readonly httpHeadBytes: number;
  readonly http2SeekBytes: number;
}

const AT = { preface: 0, head: 1, payload: 2, seek: 3 } as const;

export interface FrameParser {
  readonly handler: FrameHandler;
  readonly limits: FrameLimits;
  state: (typeof AT)[keyof typeof AT];
  /** Wire position of the first byte of the buffer being read. */
  base: number;
  /** A frame's head, then the prefix of its payload, while they come. */
  readonly small: Buffer;
  smallLength: number;
  frame: FrameHead;
  /** Of its payload still to come: prefix, content, padding. */
  prefix: number;
  content: number;
  padding: number;
  block: Block | null;
  readonly seeker: Seeker;
}

const NO_FRAME: FrameHead = { length: 0, type: TYPE.ping, flags: 0, stream: 0 };
const NO_FRAME_REASON = 'bytes that are no HTTP/2 frame';

export function createFrameParser(handler: FrameHandler, limits: FrameLimits, start: 'preface' | 'frame' | 'unknown'): FrameParser {
  return {
    handler, limits, state: start === 'preface' ? AT.preface : start === 'frame' ? AT.head : AT.seek, base: 0,
    small: Buffer.alloc(PREFACE.length), smallLength: 0, frame: NO_FRAME, prefix: 0, content: 0, padding: 0, block: null,
    seeker: createSeeker(limits.http2SeekBytes),
  };
}

/** Reads the next bytes of the direction. `fresh`: a call of the program began with them. */
export function feed(p: FrameParser, bytes: Buffer, position: number, fresh: boolean): void {
  let at = 0;
  p.base = position;
  while (at < bytes.length) {
    if (p.state === AT.seek) {
      seekIn(p, bytes.subarray(at), position + at, fresh && at === 0);
      return;
    }
    at = step(p, bytes, at);
  }
}

/** The `count` bytes at `position` will never come. */
export function skip(p: FrameParser, position: number, count: number, withheld: boolean): void {
  if (p.state === AT.seek) {
    if (withheld) seekOver(p.seeker, position, count);
    else abandonSeek(p);
    return;
  }
  const inPayload = p.state === AT.payload && p.prefix === 0 && count <= p.content + p.padding;
  if (!inPayload) {
    lose(p, withheld ? NO_FRAME_REASON : `gap of ${count} bytes`);
    return;
  }
  const content = Math.min(count, p.content);
  p.content -= content;
  p.padding -= count - content;
  if (content > 0) missContent(p, position, content, withheld);
  endWhenRead(p, position + count);
}

/** No more bytes will come. */
export function finish(p: FrameParser): void {
  p.block = null;
  if (p.state === AT.seek) abandonSeek(p);
}

function step(p: FrameParser, bytes: Buffer, at: number): number {
  switch (p.state) {
    case AT.preface: return stepPreface(p, bytes, at);
    case AT.head: return stepHead(p, bytes, at);
    default: return p.prefix > 0 ? stepPrefix(p, bytes, at) : stepContent(p, bytes, at);
  }
}

/** Its bytes were looked at before this parser was chosen, but for the last. */
function stepPreface(p: FrameParser, bytes: Buffer, at: number): number {
  const end = Math.min(bytes.length, at + PREFACE.length - p.smallLength);
  p.smallLength += end - at;
  if (p.smallLength === PREFACE.length) beginHead(p, p.base + end);
  return end;
}

function beginHead(p: FrameParser, position: number): void {
  p.state = AT.head;
  p.smallLength = 0;
  p.frame = NO_FRAME;
  if (p.block === null) p.handler.onRead(position);
}

function gather(p: FrameParser, bytes: Buffer, at: number, wanted: number): number {
  const end = Math.min(bytes.length, at + wanted - p.smallLength);
  bytes.copy(p.small, p.smallLength, at, end);
  p.smallLength += end - at;
  return end;
}

function stepHead(p: FrameParser, bytes: Buffer, at: number): number {
  if (p.smallLength === 0 && p.block === null) p.handler.onFrame();
  const end = gather(p, bytes, at, FRAME_HEADER_BYTES);
  if (p.smallLength < FRAME_HEADER_BYTES) return end;
  const frame = readFrameHead(p.small, 0);
  const continues = frame.type === TYPE.continuation;
  const expected = p.block !== null ? continues && frame.stream === p.block.stream : true;
  if (!isPossible(frame) || !expected) {
    p.handler.onBadHead(p.base + end - FRAME_HEADER_BYTES);
    lose(p, NO_FRAME_REASON);
    return end;
  }
  p.frame = frame;
  p.state = AT.payload;
  p.smallLength = 0;
  p.prefix = prefixOf(frame);
  p.content = frame.length - p.prefix;
  p.padding = 0;
  if (p.prefix === 0) beginContent(p, p.base + end);
  return end;
}

function stepPrefix(p: FrameParser, bytes: Buffer, at: number): number {
  const wanted = prefixOf(p.frame);
  const end = gather(p, bytes, at, wanted);
  p.prefix = wanted - p.smallLength;
  if (p.prefix > 0) return end;
  p.padding = isPadded(p.frame) ? p.small[0] as number : 0;
  p.content -= p.padding;
  if (p.content < 0) lose(p, NO_FRAME_REASON);
  else beginContent(p, p.base + end);
  return end;
}

function beginContent(p: FrameParser, position: number): void {
  const { frame, small, handler } = p;
  const { type, stream, flags } = frame;
  if (type === TYPE.data) handler.onDataFrame(stream);
  else if (type === TYPE.headers || type === TYPE.push) {
    const promised = type === TYPE.push ? small.readUInt32BE(isPadded(frame) ? 1 : 0) & 0x7fff_ffff : 0;
    p.block = createBlock(stream, promised, type === TYPE.headers && (flags & FLAG.endStream) !== 0);
  } else if (type === TYPE.continuation && p.block === null) {
    p.block = createBlock(stream, 0, false);
    p.block.fault = BAD_BLOCK;
  }
  endWhenRead(p, position);
}

function stepContent(p: FrameParser, bytes: Buffer, at: number): number {
  const { frame, handler } = p;
  const inPadding = p.content === 0;
  const end = Math.min(bytes.length, at + (inPadding ? p.padding : p.content));
  const position = p.base + at;
  if (inPadding) {
    p.padding -= end - at;
    handler.onUnread(position, p.base + end);
  } else {
    p.content -= end - at;
    if (frame.type === TYPE.data) handler.onData(frame.stream, bytes, at, end, position);
    else if (p.block !== null) takeBlock(p, p.block, bytes.subarray(at, end), position);
    else if (!isHarmless(frame)) handler.onUnread(position, p.base + end);
  }
  endWhenRead(p, p.base + end);
  return end;
}

/** Of these types no byte is text that somebody chose. */
function isHarmless({ type }: FrameHead): boolean {
  return type === TYPE.settings || type === TYPE.window || type === TYPE.priority;
}

function takeBlock(p: FrameParser, block: Block, bytes: Buffer, position: number): void {
  const isWhole = block.length === 0 && p.content + p.padding === 0 && (p.frame.flags & FLAG.endHeaders) !== 0;
  if (isWhole && bytes.length <= p.limits.httpHeadBytes) viewBlock(block, bytes, position);
  else if (!addToBlock(block, bytes, position, p.limits.httpHeadBytes)) p.handler.onUnread(position, position + bytes.length);
}

function missContent(p: FrameParser, position: number, count: number, withheld: boolean): void {
  const { frame, block, handler } = p;
  if (frame.type === TYPE.data) handler.onDataMissing(frame.stream, count, withheld, position);
  if (block !== null) missInBlock(block, count, withheld, p.limits.httpHeadBytes);
}

function endWhenRead(p: FrameParser, position: number): void {
  const { frame, handler, block } = p;
  if (p.content + p.padding > 0) {
    // Of a block nothing is done with before its end.
    if (block === null) handler.onRead(position);
    return;
  }
  const { type, stream, flags, length } = frame;
  if (type === TYPE.data) handler.onDataEnd(stream, (flags & FLAG.endStream) !== 0);
  else if (type === TYPE.reset) handler.onReset(stream, p.small.readUInt32BE(0));
  else if (type === TYPE.goaway && length >= 8) handler.onGoaway(p.small.readUInt32BE(0) & 0x7fff_ffff, p.small.readUInt32BE(4));
  else if (block !== null && (flags & FLAG.endHeaders) !== 0) {
    p.block = null;
    handler.onBlock(block);
  }
  beginHead(p, position);
}

function lose(p: FrameParser, reason: string): void {
  p.block = null;
  p.state = AT.seek;
  p.smallLength = 0;
  resetSeeker(p.seeker);
  p.handler.onLost(reason);
}

function seekIn(p: FrameParser, bytes: Buffer, position: number, fresh: boolean): void {
  const { seeker } = p;
  const found = seek(seeker, bytes, position, fresh);
  if (found === -1) {
    const from = seeker.base;
    const count = trim(seeker);
    if (count > 0) skipTo(p, from, from + count);
    return;
  }
  const { base, length, holes } = seeker;
  const all = seeker.bytes.subarray(0, length);
  resetSeeker(seeker);
  skipTo(p, base, base + found);
  p.state = AT.head;
  p.smallLength = 0;
  let at = found;
  for (const { start, end } of holes) {
    if (end <= found) continue;
    if (start > at) feed(p, all.subarray(at, start), base + at, false);
    skip(p, base + Math.max(at, start), end - Math.max(at, start), true);
    at = end;
  }
  if (at < length) feed(p, all.subarray(at), base + at, false);
}

function skipTo(p: FrameParser, from: number, to: number): void {
  if (to === from) return;
  p.handler.onUnread(from, to);
  p.handler.onRead(to);
}

/** What was looked at will not be told any more. */
function abandonSeek(p: FrameParser): void {
  const { seeker } = p;
  skipTo(p, seeker.base, seeker.base + seeker.length);
  resetSeeker(seeker);
}

