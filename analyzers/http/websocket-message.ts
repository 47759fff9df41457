/** One message of a WebSocket while it arrives, over its frames; a control frame is a message of one. */
import type { BodyData, Direction, SecretMarks, WebsocketData } from '../../src/event.ts';
import type { Frame, Payload } from '../websocket/frame.ts';
import { OPCODE } from '../websocket/head.ts';
import type { Inflater } from '../websocket/inflater.ts';
import * as inflater from '../websocket/inflater.ts';
import { maskedStars, unmask } from '../websocket/mask.ts';
import { type Body, appendBody, bodyText, countBytes, createBody, dropBytes, keepDecoded, keptBytes, ownBytes, releaseBody } from './body.ts';
import type { Channel } from './channel.ts';
import { joinMarks, withMarks } from '../redact/marks.ts';
import type { BodyParts } from './body-parts.ts';
import type { Spelling } from '../redact/spelled.ts';
import { countMasked, fillRanges, secretsOf } from './mask.ts';
import { openRest, wantsRest } from './rest.ts';

/** In raw mode: where bytes of the body are on the wire, one for each frame of it, or part of one after a gap. */
interface Piece {
  readonly offset: number;
  readonly position: number;
  readonly frame: Frame;
  /** In the payload of the frame. */
  readonly start: number;
}

/** Who says it. */
export interface Speaker {
  readonly direction: Direction;
  /** The exchange that opened the WebSocket, and whose side of it this is. */
  readonly owner: Pick<BodyData, 'exchange' | 'url' | 'side'>;
  /** Gives the number of an event. */
  readonly nextIndex: () => number;
}

export interface Message {
  readonly speaker: Speaker;
  readonly opcode: number;
  readonly body: Body;
  readonly inflater: Inflater | null;
  readonly spelling: Spelling | null;
  /** null where nothing of it can be masked on the wire. */
  readonly pieces: Piece[] | null;
  /** Wire position from which on its bytes wait for their masks; null: none do. */
  heldFrom: number | null;
  fragments: number;
  fault: string | null;
  /** Of its event: from when it is told, in parts or whole. */
  index: number | null;
  /** Tell what comes over the limit; null where nobody asks for that, or it cannot be. */
  parts: BodyParts | null;
  searched: boolean;
  secrets: SecretMarks;
}

type Told = Pick<WebsocketData, 'index' | 'opcode' | 'body' | 'body_encoding' | 'bytes' | 'decoded_bytes' | 'fragments' | 'compressed' | 'truncated'
  | 'close_code' | 'close_reason' | 'redacted' | 'secrets'>;

export const UNREADABLE = 'memory of the program could not be read';
export const CONTEXT_LOST = 'bytes of an earlier message are missing';
const PIECE_COST = 48;
const NOTHING = Buffer.alloc(0);
const NAMES: Readonly<Record<number, WebsocketData['opcode']>> = {
  [OPCODE.text]: 'text', [OPCODE.binary]: 'binary', [OPCODE.close]: 'close', [OPCODE.ping]: 'ping', [OPCODE.pong]: 'pong',
};

export function createMessage(channel: Channel, speaker: Speaker, { opcode, position }: Frame, { inflater: decoder, spelling }: Pick<Message, 'inflater' | 'spelling'>): Message {
  if (decoder !== null) inflater.beginMessage(decoder);
  return {
    speaker, opcode, body: createBody(), inflater: decoder, spelling,
    pieces: channel.hold === null || channel.environment.locate === undefined || decoder !== null ? null : [],
    heldFrom: decoder === null ? position : null, fragments: 0, fault: decoder?.fault ?? null, index: null, parts: null, searched: false, secrets: [],
  };
}

/** Bytes of a frame of it. */
export function addPayload(channel: Channel, message: Message, frame: Frame, payload: Payload): void {
  const { body, speaker: { direction } } = message;
  const { bytes, position } = payload;
  const plain = unmask(bytes, frame.key, payload.offset);
  if (message.inflater !== null) {
    channel.hold?.unread(direction, position, position + bytes.length);
    countBytes(body, bytes.length);
    inflater.inflate(message.inflater, plain, (output) => addDecoded(channel, message, output));
    return;
  }
  if (message.searched) {
    countBytes(body, bytes.length);
    giveUp(channel, message, plain, position);
    return;
  }
  addPiece(channel, message, frame, payload);
  const before = body.length;
  appendBody(body, channel.environment, plain, 0, plain.length, frame.fin && message.fragments === 1 ? frame.length : -1);
  if (body.truncated) giveUp(channel, message, plain.subarray(body.length - before), position + body.length - before);
}

function addDecoded(channel: Channel, message: Message, output: Buffer): void {
  const { body } = message;
  const before = body.length;
  keepDecoded(body, channel.environment, output);
  if (body.truncated) addRest(channel, message, output.subarray(body.length - before), body.decoded);
}

/** `count` bytes of it are not there. */
export function missPayload(channel: Channel, message: Message, count: number, withheld: boolean): void {
  const { body } = message;
  body.total += count;
  message.parts?.miss(count);
  if (!withheld || message.inflater !== null) {
    spoil(message, withheld ? `${count} bytes are not in the capture` : `gap of ${count} bytes`);
    return;
  }
  // Live, these bytes were seen and not kept: the replayed message says the same.
  body.truncated = true;
  addRest(channel, message, NOTHING, body.total);
}

/** Some of its bytes are not what was sent. */
export function spoil(message: Message, reason: string): void {
  message.fault ??= reason;
  if (message.inflater !== null) inflater.loseContext(message.inflater, CONTEXT_LOST);
}

/** No more bytes of it come. Returns what it says. `whole`: its end was seen. */
export function endMessage(channel: Channel, message: Message, whole: boolean): Told {
  const { environment } = channel;
  const { body, pieces } = message;
  if (message.inflater !== null) {
    if (whole) inflater.endMessage(message.inflater, (output) => addDecoded(channel, message, output));
    message.fault ??= message.inflater.fault;
  }
  message.parts?.end();
  search(channel, message);
  const redacted = environment.locate === undefined ? 0 : countMasked(keptBytes(body));
  const told = { index: message.index ?? message.speaker.nextIndex(), ...textOf(message, !whole || body.truncated || message.fault !== null), redacted, ...withMarks(message.secrets) };
  dropBytes(body, environment);
  releaseBody(body, environment);
  environment.bodies.used -= PIECE_COST * (pieces?.length ?? 0);
  return told;
}

function addPiece(channel: Channel, { pieces, body }: Message, frame: Frame, { position, offset: start }: Payload): void {
  if (pieces === null) return;
  const last = pieces.at(-1);
  if (last !== undefined && last.frame === frame && position - last.position === body.seen - last.offset) return;
  pieces.push({ offset: body.seen, position, frame, start });
  channel.environment.bodies.used += PIECE_COST;
}

/** The bytes after what is kept do not go into a capture: they are told in parts, or not at all. */
function giveUp(channel: Channel, message: Message, rest: Buffer, position: number): void {
  addRest(channel, message, rest, message.body.total);
  channel.hold?.unread(message.speaker.direction, position, position + rest.length);
}

/** `end`: of the bytes in the message. A replay numbers its events alike, though it makes no parts. */
function addRest(channel: Channel, message: Message, bytes: Buffer, end: number): void {
  if (message.index === null) {
    const { body, speaker } = message;
    const index = speaker.nextIndex();
    message.index = index;
    const rest = { owner: { ...speaker.owner, index }, body, offset: end - bytes.length, search: () => search(channel, message) };
    if (wantsRest(channel)) message.parts = openRest(channel, rest);
    else rest.search();
  }
  message.parts?.add(bytes);
}

/** Finds and masks the secrets of what is kept, in the capture too. */
function search(channel: Channel, message: Message): void {
  const { locate } = channel.environment;
  if (message.searched) return;
  message.searched = true;
  message.heldFrom = null;
  if (locate === undefined || message.body.length === 0) return;
  const kept = keptBytes(message.body);
  const ranges = [...locate('body', kept), ...message.spelling?.take(kept, 'all') ?? []];
  if (ranges.length === 0) return;
  message.secrets = joinMarks([], secretsOf(ranges), (count) => channel.environment.counters.add('secrets_unlisted', count));
  fillRanges(ownBytes(message.body), ranges);
  for (const { start, end } of ranges) maskWire(channel, message, start, end);
}

function maskWire({ hold }: Channel, { pieces, speaker: { direction } }: Message, start: number, end: number): void {
  if (pieces === null || hold === null) return;
  for (const [index, { offset, position, frame, start: first }] of pieces.entries()) {
    const from = Math.max(start, offset);
    const to = Math.min(end, pieces[index + 1]?.offset ?? Infinity);
    if (from >= to) continue;
    const wire = position + from - offset;
    if (frame.key === null) hold.mask(direction, wire, wire + to - from);
    else hold.replace(direction, wire, maskedStars(to - from, frame.key, first + from - offset));
  }
}

function textOf({ opcode, body, inflater: decoder, fragments }: Message, cut: boolean): Omit<Told, 'index' | 'redacted'> {
  const isClose = opcode === OPCODE.close;
  const bytes = keptBytes(body);
  const { text, encoding } = bodyText(body, cut);
  return {
    opcode: NAMES[opcode] ?? null, body: isClose ? null : text, body_encoding: isClose ? 'utf8' : encoding,
    bytes: body.total, decoded_bytes: body.decoded, fragments, compressed: decoder !== null, truncated: body.truncated,
    // What a close says after its code is text (RFC 6455 §5.5.1).
    close_code: isClose && bytes.length > 1 ? bytes.readUInt16BE(0) : null,
    close_reason: isClose && bytes.length > 2 ? bytes.toString('utf8', 2) : null,
  };
}
