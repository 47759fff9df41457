/**
 * Finds JSON-RPC 2.0 messages in what one process writes to, or reads from, one pipe:
 * a line each, as the Model Context Protocol has them, or after a `Content-Length`
 * head, as language servers have them; at any split.
 *
 * Nothing is guessed: a message is what parses as JSON and says `"jsonrpc": "2.0"`.
 * All else, such as lines of a log, is passed over. After a loss the reader goes on at the next line.
 */
import { grown } from '../grown.ts';
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
/** Of a byte order mark, which some write before the first line. */
const MARK_BYTES: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf]);
const MARK = Buffer.from('"jsonrpc"');
const LENGTH_HEAD = /^content-length:[ \t]{0,16}(\d{1,10})[ \t]{0,16}$/i;
/** Longer than any line of such a head. */
const HEAD_LINE_BYTES = 256;
const NOTHING = Buffer.alloc(0);

export type Framing = 'line' | 'content-length';

export interface FramingHandler {
  /** Bytes of what may be a message, a view. */
  onText(bytes: Buffer, framing: Framing): void;
  /** One that is longer than the limit, or was cut by a loss. */
  onDropped(reason: 'too_long' | 'cut'): void;
}

export interface MessageReader {
  readonly limitBytes: number;
  readonly handler: FramingHandler;
  /** What is being read: a line, one that began with white space, a head's other lines, the body after it, or nothing up to the next line. */
  place: 'line' | 'indented' | 'head' | 'body' | 'skip';
  bodyBytes: number;
  gathered: Buffer;
  length: number;
}

export function createMessageReader(limitBytes: number, handler: FramingHandler): MessageReader {
  return { limitBytes, handler, place: 'line', bodyBytes: 0, gathered: NOTHING, length: 0 };
}

export function readMessages(reader: MessageReader, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at = reader.place === 'body' ? readBody(reader, bytes, at) : readLine(reader, bytes, at);
}

/** Bytes are missing here. */
export function breakMessages(reader: MessageReader): void {
  if (reader.length > 0 || reader.place === 'body') reader.handler.onDropped('cut');
  forget(reader);
  reader.place = 'skip';
}

function readLine(reader: MessageReader, bytes: Buffer, start: number): number {
  const newline = bytes.indexOf(LF, start);
  const end = newline === -1 ? bytes.length : newline;
  const at = reader.length === 0 && (reader.place === 'line' || reader.place === 'indented') ? beginLine(reader, bytes, start, end) : start;
  if (reader.place !== 'skip') gather(reader, bytes, at, end);
  if (newline === -1) return bytes.length;
  endLine(reader);
  return newline + 1;
}

/** Where the line begins after its white space. One that cannot be a message need not be kept. */
function beginLine(reader: MessageReader, bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(bytes[at] as number)) at++;
  if (at > start) reader.place = 'indented';
  if (at < end && !couldStart(bytes[at] as number, reader.place === 'line')) reader.place = 'skip';
  return at;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || MARK_BYTES.has(byte);
}

/** `{`, `[`, or a letter of Content-Length, which has no white space before it. */
function couldStart(byte: number, isAtMargin: boolean): boolean {
  return byte === OPEN_BRACE || byte === OPEN_BRACKET || (isAtMargin && (byte | 0x20) === 0x63);
}

function endLine(reader: MessageReader): void {
  const { place } = reader;
  const line = lineOf(reader);
  if (place === 'head') {
    if (line.length === 0) beginBody(reader);
    forget(reader);
    return;
  }
  reader.place = 'line';
  if (place !== 'skip' && line.length > 0) takeLine(reader, line);
  forget(reader);
}

function lineOf({ gathered, length }: MessageReader): Buffer {
  return gathered.subarray(0, length > 0 && gathered[length - 1] === CR ? length - 1 : length);
}

function takeLine(reader: MessageReader, line: Buffer): void {
  if (line[0] === OPEN_BRACE || line[0] === OPEN_BRACKET) {
    if (line.includes(MARK)) reader.handler.onText(line, 'line');
    return;
  }
  const announced = line.length > HEAD_LINE_BYTES ? null : LENGTH_HEAD.exec(line.toString('latin1'));
  if (announced === null) return;
  reader.bodyBytes = Number(announced[1]);
  reader.place = 'head';
}

function beginBody(reader: MessageReader): void {
  reader.place = reader.bodyBytes === 0 ? 'line' : 'body';
  if (reader.bodyBytes > reader.limitBytes) reader.handler.onDropped('too_long');
}

function readBody(reader: MessageReader, bytes: Buffer, at: number): number {
  const end = Math.min(bytes.length, at + reader.bodyBytes);
  const wanted = reader.length + reader.bodyBytes <= reader.limitBytes;
  if (wanted) gather(reader, bytes, at, end);
  reader.bodyBytes -= end - at;
  if (reader.bodyBytes > 0) return end;
  reader.place = 'line';
  const body = reader.gathered.subarray(0, reader.length);
  if (wanted && body.includes(MARK)) reader.handler.onText(body, 'content-length');
  forget(reader);
  return end;
}

function gather(reader: MessageReader, bytes: Buffer, start: number, end: number): void {
  const length = reader.length + end - start;
  const limit = reader.place === 'head' ? HEAD_LINE_BYTES : reader.limitBytes;
  if (length > limit) {
    reader.handler.onDropped('too_long');
    forget(reader);
    reader.place = 'skip';
    return;
  }
  reader.gathered = grown(reader.gathered, reader.length, length, reader.limitBytes);
  bytes.copy(reader.gathered, reader.length, start, end);
  reader.length = length;
}

function forget(reader: MessageReader): void {
  reader.length = 0;
  reader.gathered = NOTHING;
}
