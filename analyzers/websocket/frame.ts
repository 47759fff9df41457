/**
 * The frames of one direction of a WebSocket (RFC 6455 §5), split anywhere. Strict: what the
 * standard forbids ends the reading, because behind it nobody can tell where frames begin.
 * Bytes that are missing inside a payload are passed over; its length tells where the next frame is.
 */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

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
  /** Nothing more is read. */
  onLost(cause: 'protocol' | 'gap', reason: string): void;
  /** Bytes that nobody reads. */
  onUnread(from: number, to: number): void;
}

export interface FrameReader {
  readonly handler: FrameHandler;
  /** The client's frames are masked, the server's are not (§5.1). */
  readonly fromClient: boolean;
  readonly head: Buffer;
  headBytes: number;
  /** The frame whose payload is being read, and how much of it is to come. */
  frame: Frame | null;
  remaining: number;
  over: boolean;
}

const HEAD_BYTES_MAX = 14;
const CONTROL_BYTES_MAX = 125;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function createFrameReader(handler: FrameHandler, fromClient: boolean): FrameReader {
  return { handler, fromClient, head: Buffer.alloc(HEAD_BYTES_MAX), headBytes: 0, frame: null, remaining: 0, over: false };
}

export function isControl(opcode: number): boolean {
  return opcode >= OPCODE.close;
}

export function feed(reader: FrameReader, bytes: Buffer, position: number): void {
  let at = 0;
  while (at < bytes.length && !reader.over) {
    at = reader.frame === null ? readHead(reader, bytes, at, position) : readPayload(reader, reader.frame, { bytes, at, position });
  }
  if (at < bytes.length) reader.handler.onUnread(position + at, position + bytes.length);
}

/** The `count` bytes at `position` will never come. */
export function skip(reader: FrameReader, count: number, withheld: boolean): void {
  const { frame } = reader;
  if (reader.over) return;
  if (frame === null || count > reader.remaining) {
    lose(reader, 'gap', Number.isFinite(count) ? `gap of ${count} bytes` : 'gap of unknown length');
    return;
  }
  reader.handler.onMissing(frame, count, withheld);
  reader.remaining -= count;
  if (reader.remaining === 0) endFrame(reader, frame);
}

export function lose(reader: FrameReader, cause: 'protocol' | 'gap', reason: string): void {
  reader.over = true;
  reader.headBytes = 0;
  reader.handler.onLost(cause, reason);
}

/** Takes bytes of a head; returns where the next step begins. */
function readHead(reader: FrameReader, bytes: Buffer, at: number, position: number): number {
  const { head } = reader;
  const take = Math.min(headLength(reader) - reader.headBytes, bytes.length - at);
  bytes.copy(head, reader.headBytes, at, at + take);
  reader.headBytes += take;
  const end = at + take;
  const isWhole = reader.headBytes > 1 && reader.headBytes === headLength(reader);
  const fault = isWhole || reader.headBytes === 2 ? faultOf(reader) : null;
  if (fault !== null) lose(reader, 'protocol', fault);
  else if (isWhole) begin(reader, position + end);
  return end;
}

/** Of the two first bytes, until they are there; then of the whole head. */
function headLength({ head, headBytes }: FrameReader): number {
  if (headBytes < 2) return 2;
  const second = head[1] ?? 0;
  const length = second & 0x7f;
  return 2 + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0) + (second >= 0x80 ? 4 : 0);
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

/** What the head says against the standard: by its first two bytes where they are all that is there. */
function faultOf({ head, headBytes, fromClient }: FrameReader): string | null {
  const first = head[0] ?? 0;
  const second = head[1] ?? 0;
  const opcode = first & 0x0f;
  if ((first & 0x30) !== 0) return 'reserved bits are set';
  if ((opcode > OPCODE.binary && opcode < OPCODE.close) || opcode > OPCODE.pong) return `opcode ${opcode} is not known`;
  if (second >= 0x80 !== fromClient) return fromClient ? 'frame of a client without a mask' : 'masked frame of a server';
  if (isControl(opcode) && first < 0x80) return 'fragment of a control frame';
  if (isControl(opcode) && (second & 0x7f) > CONTROL_BYTES_MAX) return 'control frame over 125 bytes';
  if (headBytes <= 2) return null;
  const length = lengthOf(head);
  if (!Number.isSafeInteger(length)) return 'frame length is out of range';
  const least = { [LENGTH_16]: LENGTH_16, [LENGTH_64]: 0x1_0000 }[second & 0x7f] ?? 0;
  return length < least ? 'frame length is not in its shortest form' : null;
}

function lengthOf(head: Buffer): number {
  const length = (head[1] ?? 0) & 0x7f;
  if (length < LENGTH_16) return length;
  return length === LENGTH_16 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
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
