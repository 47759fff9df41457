/**
 * The frames of one direction of a WebSocket (RFC 6455 §5), split anywhere. Strict: what the
 * standard forbids ends the reading, because who gets it has to end the connection (§7.1.7).
 * Bytes that are missing inside a payload are passed over; its length tells where the next frame is. After
 * any other gap the next frame is sought that proves itself (`seek.ts`).
 */
import { HEAD_BYTES_MAX, faultOf, headLength, lengthOf } from './head.ts';
import { type Call, type SeekOptions, type Seeker, bytesOf, createSeeker, forget, refuted, seek, seekOver, takeBefore } from './seek.ts';

export interface Frame {
  readonly fin: boolean;
  /** The first reserved bit: with permessage-deflate, the message is compressed. */
  readonly rsv1: boolean;
  readonly opcode: number;
  /** Of its payload. */
  readonly length: number;
  /** What its payload is XORed with: of a client's frames alone. */
  readonly key: Buffer | null;
  /** Wire position of its payload. */
  readonly position: number;
}

/** Bytes of a frame's payload, as they are on the wire. */
export interface Payload {
  readonly bytes: Buffer;
  /** On the wire, where bytes of what carries the WebSocket may be in between. */
  readonly position: number;
  /** In the payload. */
  readonly offset: number;
}

/** What was found. Buffers are views, valid during the call alone; positions are wire bytes. */
export interface FrameHandler {
  /** Why it may not come here, or null. */
  onFrame(frame: Frame): string | null;
  onPayload(frame: Frame, payload: Payload): void;
  /** Bytes of its payload that will not come. `withheld`: the capture left them out on purpose. */
  onMissing(frame: Frame, count: number, withheld: boolean): void;
  /** False: nothing more can be read. */
  onFrameEnd(frame: Frame): boolean;
  /** Nothing more is read: `gap`: until a frame is proven. */
  onLost(cause: 'protocol' | 'gap', reason: string): void;
  /** Bytes that nobody reads. */
  onUnread(from: number, to: number): void;
}

export interface FrameReader {
  readonly handler: FrameHandler;
  /** The client's frames are masked, the server's are not (§5.1). */
  readonly fromClient: boolean;
  readonly seeking: SeekOptions;
  readonly head: Buffer;
  headBytes: number;
  /** The frame whose payload is being read, and how much of it is to come. */
  frame: Frame | null;
  remaining: number;
  over: boolean;
  /** Looks for the next frame, where that is not known. */
  seeker: Seeker | null;
  /** Bytes were lost before what is read now. */
  rejoined: boolean;
}

export function createFrameReader(handler: FrameHandler, seeking: SeekOptions): FrameReader {
  return {
    handler, fromClient: seeking.fromClient, seeking, head: Buffer.alloc(HEAD_BYTES_MAX), headBytes: 0, frame: null, remaining: 0, over: false, seeker: null, rejoined: false,
  };
}

export function feed(reader: FrameReader, bytes: Buffer, position: number, call: Call): void {
  if (reader.seeker !== null) {
    goOn(reader, reader.seeker, seek(reader.seeker, bytes, position, call));
    return;
  }
  let at = 0;
  while (at < bytes.length && !reader.over && reader.seeker === null) {
    at = reader.frame === null ? readHead(reader, bytes, at, position) : readPayload(reader, reader.frame, { bytes, at, position });
  }
  if (at < bytes.length) reader.handler.onUnread(position + at, position + bytes.length);
}

/** The `count` bytes at `position` will never come. `withheld`: they are there, in a call that ends at `callEnd`. */
export function skip(reader: FrameReader, position: number, count: number, withheld: { readonly callEnd: number } | null): void {
  const { frame, seeker } = reader;
  if (reader.over) return;
  if (seeker !== null) {
    if (withheld !== null && count <= seeker.options.limitBytes) goOn(reader, seeker, seekOver(seeker, position, count, withheld.callEnd));
    else seekAnew(reader);
    return;
  }
  if (frame === null || count > reader.remaining) {
    lose(reader, 'gap', Number.isFinite(count) ? `gap of ${count} bytes` : 'gap of unknown length');
    return;
  }
  reader.handler.onMissing(frame, count, withheld !== null);
  reader.remaining -= count;
  if (reader.remaining === 0) endFrame(reader, frame);
}

/** After a gap nothing is an error: it shows that what was found is no frame. */
export function lose(reader: FrameReader, cause: 'protocol' | 'gap', reason: string): void {
  reader.headBytes = 0;
  reader.frame = null;
  reader.rejoined ||= cause === 'gap';
  if (reader.rejoined) reader.seeker = createSeeker(reader.seeking);
  else reader.over = true;
  reader.handler.onLost(cause, reason);
}

/** No more bytes come. */
export function finish(reader: FrameReader): void {
  if (reader.seeker !== null) seekAnew(reader);
}

/** The first byte that may be of a frame that is not proven yet. */
export function soughtFrom({ seeker }: FrameReader): number | null {
  return seeker?.pieces[0]?.position ?? null;
}

function seekAnew(reader: FrameReader): void {
  if (reader.seeker !== null) leaveUnread(reader, reader.seeker, reader.seeker.length);
  reader.seeker = createSeeker(reader.seeking);
}

/** Reads from the frame at the offset `found` on, if that is one. */
function goOn(reader: FrameReader, seeker: Seeker, found: number): void {
  const from = found === -1 ? refuted(seeker) : found;
  leaveUnread(reader, seeker, from);
  if (found === -1) {
    forget(seeker, from);
    return;
  }
  reader.seeker = null;
  for (const piece of seeker.pieces) {
    const { position, length, hole } = piece;
    if (hole) skip(reader, position, length, { callEnd: position + length });
    else feed(reader, bytesOf(seeker, piece), position, { fresh: false, end: position + length });
  }
}

function leaveUnread(reader: FrameReader, seeker: Seeker, before: number): void {
  for (const { position, length } of takeBefore(seeker, before)) reader.handler.onUnread(position, position + length);
}

/** Takes bytes of a head; returns where the next step begins. */
function readHead(reader: FrameReader, bytes: Buffer, at: number, position: number): number {
  const { head } = reader;
  const take = Math.min(headLength(head, reader.headBytes) - reader.headBytes, bytes.length - at);
  bytes.copy(head, reader.headBytes, at, at + take);
  reader.headBytes += take;
  const end = at + take;
  const isWhole = reader.headBytes > 1 && reader.headBytes === headLength(head, reader.headBytes);
  const fault = isWhole || reader.headBytes === 2 ? faultOf(head, isWhole ? 'whole' : 'two', reader.fromClient) : null;
  if (fault !== null) lose(reader, 'protocol', fault);
  else if (isWhole) begin(reader, position + end);
  return end;
}

function begin(reader: FrameReader, position: number): void {
  const { head, headBytes, fromClient } = reader;
  const first = head[0] ?? 0;
  const frame: Frame = {
    fin: first >= 0x80, rsv1: (first & 0x40) !== 0, opcode: first & 0x0f, length: lengthOf(head), position,
    key: fromClient ? Buffer.from(head.subarray(headBytes - 4, headBytes)) : null,
  };
  reader.headBytes = 0;
  const fault = reader.handler.onFrame(frame);
  if (fault !== null) {
    lose(reader, 'protocol', fault);
    return;
  }
  reader.frame = frame;
  reader.remaining = frame.length;
  if (frame.length === 0) endFrame(reader, frame);
}

function readPayload(reader: FrameReader, frame: Frame, { bytes, at, position }: { readonly bytes: Buffer; readonly at: number; readonly position: number }): number {
  const end = Math.min(bytes.length, at + reader.remaining);
  const offset = frame.length - reader.remaining;
  reader.remaining -= end - at;
  reader.handler.onPayload(frame, { bytes: bytes.subarray(at, end), position: position + at, offset });
  if (reader.remaining === 0) endFrame(reader, frame);
  return end;
}

function endFrame(reader: FrameReader, frame: Frame): void {
  reader.frame = null;
  if (!reader.handler.onFrameEnd(frame)) reader.over = true;
}
