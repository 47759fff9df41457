/** Frames of HTTP/2 (RFC 9113 §4 and §6): their headers, and the names of error codes. */
export const FRAME_HEADER_BYTES = 9;
export const SETTING_BYTES = 6;
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const TYPE = {
  data: 0, headers: 1, priority: 2, reset: 3, settings: 4, push: 5, ping: 6, goaway: 7, window: 8, continuation: 9,
} as const;

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export interface FrameHead {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

export function readFrameHead(bytes: Buffer, at: number): FrameHead {
  return {
    length: bytes.readUIntBE(at, 3), type: bytes[at + 3] as number, flags: bytes[at + 4] as number,
    // The first bit is reserved and to be ignored.
    stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
  };
}

/** Bytes at the start of a payload that are not its content: length of the padding, priority, the promised stream. */
export function prefixOf({ type, flags }: FrameHead): number {
  const pad = (flags & FLAG.padded) === 0 ? 0 : 1;
  switch (type) {
    case TYPE.data: return pad;
    case TYPE.headers: return pad + ((flags & FLAG.priority) === 0 ? 0 : 5);
    case TYPE.push: return pad + 4;
    case TYPE.reset: return 4;
    case TYPE.goaway: return 8;
    default: return 0;
  }
}

export function isPadded({ type, flags }: FrameHead): boolean {
  return (flags & FLAG.padded) !== 0 && (type === TYPE.data || type === TYPE.headers || type === TYPE.push);
}

/** Nobody asks for frames as large as this, and a length that begins with another byte than 0 is found in any text. */
const LIKELY_LENGTH = 1 << 16;

/** What each type demands of its length and stream; other types are small. */
export function isPossible(head: FrameHead): boolean {
  const { length, stream, type } = head;
  if (length < prefixOf(head)) return false;
  switch (type) {
    case TYPE.data:
    case TYPE.headers:
    case TYPE.continuation:
    case TYPE.push: return stream !== 0;
    case TYPE.priority: return length === 5 && stream !== 0;
    case TYPE.reset: return length === 4 && stream !== 0;
    case TYPE.settings: return length % SETTING_BYTES === 0 && stream === 0;
    case TYPE.ping: return length === 8 && stream === 0;
    case TYPE.goaway: return stream === 0;
    case TYPE.window: return length === 4;
    default: return length < LIKELY_LENGTH;
  }
}

/** What is no frame's head, whatever came before: SETTINGS on a stream. Its part of a direction's first bytes tells no protocol. */
export const BAD_HEAD = Buffer.from('00fffc04ff7fffffff', 'hex');

/** Flags that a type can have, of the ten types. */
const FLAGS_OF = [0x09, 0x2d, 0, 0, 0x01, 0x0c, 0x01, 0, 0, 0x04];
const LIKELY_STREAM = 1 << 24;

/** Whether these bytes are likely a frame's head where it is not known that they are one. */
export function isLikely(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== 0 || (bytes[at + 3] as number) > TYPE.continuation) return false;
  const head = readFrameHead(bytes, at);
  const { length, type, flags, stream } = head;
  if (length >= LIKELY_LENGTH || stream >= LIKELY_STREAM || ((bytes[at + 5] as number) & 0x80) !== 0) return false;
  if ((flags & ~(FLAGS_OF[type] as number)) !== 0 || !isPossible(head)) return false;
  // What zeros could be taken for: frames that nobody sends.
  if (type === TYPE.data && length === 0 && flags === 0) return false;
  return type !== TYPE.settings || (length === 0) === (flags === FLAG.ack);
}

const ERRORS = [
  'NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED', 'FRAME_SIZE_ERROR',
  'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED',
];

export function errorName(code: number): string {
  return ERRORS[code] ?? `error ${code}`;
}
