/**
 * One HTTP message while it arrives: its head, its body, its event stream, and
 * in raw mode which wire bytes hold its secrets.
 */
import type { Direction, HeaderList, HttpFlag, SecretMarks } from '../../src/event.ts';
import type { Nanoseconds } from '../../src/time.ts';
import type { Decoder } from '../coding/decoder.ts';
import { compressedRanges } from '../grpc/compressed.ts';
import { decodeLines, readFields } from '../http1/fields.ts';
import { type Head, parseHead, reasonOf } from '../http1/head.ts';
import type { MessageKind } from '../http1/start-line.ts';
import { breakBlock, flush, split } from '../sse/blocks.ts';
import { type Body, type BodyText, appendBody, bodyText, countBytes, createBody, cutBody, dropBytes, keepDecoded, keptBytes, ownBytes } from './body.ts';
import type { Carrier, Channel } from './channel.ts';
import type { BodyParts } from './body-parts.ts';
import { decoderOf } from './decoding.ts';
import { type DecodedMessages, NO_MESSAGES, decodeMessages } from './grpc-messages.ts';
import { type EventStream, type StreamOwner, createEventStream, isEventStream } from './event-stream.ts';
import { type Range, countMasked, fillRanges, masked, secretsOf } from './mask.ts';
import { joinMarks } from '../redact/marks.ts';
import { createSpelling } from '../redact/spelled.ts';
import { addRest, tellsCoding } from './rest.ts';
import { type WireMap, addPiece, createWireMap, eachWireRange, forgetBefore } from './wire-map.ts';

export interface Message {
  readonly direction: Direction;
  readonly head: Head;
  readonly first: Carrier;
  last: Nanoseconds;
  readonly body: Body;
  /** Length of the body where the head tells it, else negative. */
  readonly expected: number;
  /** In raw mode: where the body's bytes came from. */
  readonly wire: WireMap | null;
  stream: EventStream | null;
  /** What it belongs to, from when that is known. */
  owner: StreamOwner | null;
  /** Tell what comes over the limit; null where nobody asks for that, or it cannot be. */
  parts: BodyParts | null | undefined;
  /** Bytes of the body may be missing, and nobody knows where. */
  isDoubtful: boolean;
  /** Those of gRPC in it that are compressed by themselves. */
  decoded: DecodedMessages;
  /** Fields after the body, masked. */
  trailers: HeaderList;
  /** What is odd about it. */
  flags: readonly HttpFlag[];
  /** Its body is coded, and kept as decoded. */
  readonly decoder: Decoder | null;
  /** Of such a body: how much was kept when bytes may have gone missing, unless its length proves that none have. */
  sureBytes: number | null;
  /** Why something of it is missing or cannot be trusted. */
  fault: string | null;
  done: boolean;
  /** SecretMarks of the kept body are masked; bytes after it are not looked at. */
  searched: boolean;
  redacted: number;
  /** What was masked in it so far. */
  secrets: SecretMarks;
  text: BodyText;
}

export interface MaskedHead {
  readonly head: Head;
  readonly redacted: number;
  readonly secrets: SecretMarks;
}

export interface MaskedFields {
  readonly bytes: Buffer;
  readonly secrets: SecretMarks;
}

const NO_TEXT: BodyText = { text: null, encoding: 'utf8' };
const JSON_LINES = /^application\/(?:x-)?(?:ndjson|jsonl|jsonlines|json-seq)\b/i;
const START_LINE = Buffer.from('\n');
/** Two numbers of a wire map. */
const PIECE_COST = 16;
const UNREADABLE = 'memory of the program could not be read';

/** Masks the head, in the capture too, and reads it. */
export function readHead(
  channel: Channel, direction: Direction, kind: MessageKind, bytes: Buffer, position: number,
): MaskedHead {
  const { bytes: shown, secrets } = maskFields(channel, direction, bytes, position);
  const redacted = channel.environment.locate === undefined ? 0 : countMasked(shown);
  return { head: parseHead(shown, kind), redacted, secrets };
}

/** Masks secrets in bytes of a head or of trailers. */
export function maskFields(channel: Channel, direction: Direction, bytes: Buffer, position: number): MaskedFields {
  const { environment, hold } = channel;
  if (environment.locate === undefined) return { bytes, secrets: [] };
  const ranges = environment.locate('head', bytes);
  for (const { start, end } of ranges) hold?.mask(direction, position + start, position + end);
  return { bytes: masked(bytes, ranges), secrets: secretsOf(ranges) };
}

/** Masks the trailers of HTTP/1, in the capture too, and keeps them. Returns why their end cannot be trusted, or null. */
export function addTrailers(channel: Channel, message: Message | null, bytes: Buffer, at: { readonly direction: Direction; readonly position: number }): string | null {
  // As a head has them: behind its first line.
  const { bytes: lines, secrets } = maskFields(channel, at.direction, Buffer.concat([START_LINE, bytes]), at.position - START_LINE.length);
  const shown = lines.subarray(START_LINE.length);
  const { list, flags, fault } = readFields(decodeLines(shown), 0);
  if (message !== null) {
    message.last = channel.carrier.timestamp;
    message.trailers = list;
    if (channel.environment.locate !== undefined) message.redacted += countMasked(shown);
    addSecrets(channel, message, secrets);
    for (const flag of flags) addFlag(message, flag);
  }
  return fault === null ? null : reasonOf(fault);
}

export function addFlag(message: Message, flag: HttpFlag): void {
  if (!message.flags.includes(flag)) message.flags = [...message.flags, flag];
}

export function createMessage(
  channel: Channel, direction: Direction, from: MaskedHead, first: Carrier, expected: number,
): Message {
  const decoder = decoderOf(channel, from.head);
  return {
    direction, head: from.head, first, last: channel.carrier.timestamp, body: createBody(), expected,
    wire: channel.hold === null || channel.environment.locate === undefined || decoder !== null ? null : createWireMap(),
    stream: null, owner: null, parts: undefined, isDoubtful: false, decoded: NO_MESSAGES, trailers: [], flags: from.head.flags,
    decoder, sureBytes: null,
    fault: from.head.fault ?? (channel.faulty ? UNREADABLE : null), done: false, searched: false, redacted: from.redacted,
    secrets: joinSecrets(channel, [], from.secrets), text: NO_TEXT,
  };
}

function joinSecrets({ environment }: Channel, known: SecretMarks, more: SecretMarks): SecretMarks {
  return joinMarks(known, more, (count) => environment.counters.add('secrets_unlisted', count));
}

export function addSecrets(channel: Channel, message: Message, more: SecretMarks): void {
  message.secrets = joinSecrets(channel, message.secrets, more);
}

/** Starts to read events when the response is a stream of them, which `ownerOf` is asked for then. */
export function openStream(channel: Channel, response: Message, ownerOf: () => StreamOwner): void {
  if (!isEventStream(response.head)) return;
  response.stream = createEventStream(channel, ownerOf(), (ranges, end) => maskBlock(channel, response, ranges, end));
}

/** The same where a body turns out to be a stream after its beginning was missed. */
export function openStreamMidway(channel: Channel, message: Message, owner: StreamOwner): void {
  searchBody(channel, message);
  message.stream = createEventStream(channel, owner, (ranges, end) => maskBlock(channel, message, ranges, end));
  message.stream.blocks.position = message.body.seen;
  message.stream.blocks.start = message.body.seen;
}

export function addBody(
  channel: Channel, message: Message, bytes: Buffer, start: number, end: number, position: number,
): void {
  const { body, stream } = message;
  const before = body.length;
  message.last = channel.carrier.timestamp;
  if (channel.faulty) message.fault ??= UNREADABLE;
  if (message.decoder !== null) {
    decodeBody(channel, message, message.decoder, bytes.subarray(start, end), position);
    return;
  }
  if (stream !== null || !body.truncated) mapBody(channel, message, position);
  appendBody(body, channel.environment, bytes, start, end, stream === null ? message.expected : -1);
  if (stream !== null) {
    split(stream.blocks, bytes, start, end);
  } else if (body.truncated) {
    giveUp(channel, message, position + body.length - before, bytes.subarray(start + body.length - before, end));
  }
}

/** No secret can be masked in coded bytes, so they do not go into a capture. */
function decodeBody(channel: Channel, message: Message, decoder: Decoder, bytes: Buffer, position: number): void {
  const { body, stream } = message;
  const end = position + bytes.length;
  channel.hold?.unread(message.direction, position, end);
  channel.hold?.settle(message.direction, end);
  countBytes(body, bytes.length);
  decoder.push(bytes, (decoded) => {
    const before = body.length;
    keepDecoded(body, channel.environment, decoded);
    if (stream === null) return !body.truncated || addRest(channel, message, decoded.subarray(body.length - before), { end: body.decoded, search: () => searchBody(channel, message) });
    split(stream.blocks, decoded, 0, decoded.length);
    return true;
  });
  if (decoder.fault !== null) message.fault ??= decoder.fault;
}

/** Chunks of what is after the kept bytes do not go into a capture: it is told in parts, or not at all. */
function giveUp(channel: Channel, message: Message, start: number, rest: Buffer): void {
  addRest(channel, message, rest, { end: message.body.total, search: () => searchBody(channel, message) });
  searchBody(channel, message);
  channel.hold?.unread(message.direction, start, start + rest.length);
  channel.hold?.settle(message.direction, start + rest.length);
}

function mapBody(channel: Channel, message: Message, position: number): void {
  if (message.wire === null || !addPiece(message.wire, message.body.seen, position)) return;
  channel.environment.bodies.used += PIECE_COST;
}

/** `count` bytes of the body are not there. */
export function missBody(channel: Channel, message: Message, count: number, withheld: boolean): void {
  message.body.total += count;
  message.parts?.miss(count);
  message.decoder?.close();
  if (message.stream !== null) breakBlock(message.stream.blocks);
  if (!withheld) {
    message.fault ??= `gap of ${count} bytes`;
    return;
  }
  // Live, these bytes were seen and not kept: the replayed exchange says the same.
  message.body.truncated = true;
  if (message.stream === null) searchBody(channel, message);
}

/** Bytes of the body may be missing from here on, and nobody knows how many: what comes then does not follow what came. */
export function doubtBody(message: Message, reason: string): void {
  const { decoder, stream, body } = message;
  message.isDoubtful = true;
  message.parts?.doubt?.();
  if (decoder !== null && stream === null) message.sureBytes ??= body.length;
  if (stream === null) return;
  breakBlock(stream.blocks);
  if (decoder === null) return;
  // Its events would be told before anybody knows whether they are right.
  decoder.close();
  message.fault ??= reason;
}

/** No more bytes will come. `whole`: the end was seen. */
export function endMessage(channel: Channel, message: Message, whole: boolean): void {
  const { body, stream, wire } = message;
  const { environment } = channel;
  message.done = true;
  endDecoder(message, whole);
  message.parts?.end();
  if (message.sureBytes !== null && (!whole || message.fault !== null)) cutBody(body, message.sureBytes);
  if (stream === null) searchBody(channel, message);
  else flush(stream.blocks);
  // Where nothing is masked nobody looked into the body before.
  if (environment.locate === undefined) decodeCompressed(channel, message, compressedIn(message));
  if (environment.locate !== undefined && body.length > 0) message.redacted += countMasked(keptBytes(body));
  message.text = bodyText(body, !whole || body.truncated || message.fault !== null);
  dropBytes(body, environment, message.decoded.bytes);
  if (wire !== null) environment.bodies.used -= wire.offsets.length * PIECE_COST;
  wire?.offsets.splice(0);
  wire?.positions.splice(0);
}

function endDecoder(message: Message, whole: boolean): void {
  const { decoder } = message;
  if (decoder === null) return;
  if (whole) decoder.end();
  decoder.close();
  if (decoder.fault !== null) message.fault ??= decoder.fault;
}

/** Finds and masks the secrets of a body that is as long as it will get. */
function searchBody(channel: Channel, message: Message): void {
  const { locate } = channel.environment;
  if (message.searched || locate === undefined || message.body.length === 0) return;
  message.searched = true;
  if (!tellsCoding(message)) {
    channel.environment.counters.add('coding_unknown');
    maskBody(channel, message, [{ start: 0, end: message.body.length }]);
    return;
  }
  const compressed = compressedIn(message);
  decodeCompressed(channel, message, compressed);
  channel.environment.counters.add('grpc_compressed', compressed.length);
  maskBody(channel, message, compressed);
  maskBody(channel, message, locate('body', keptBytes(message.body)));
  const [type] = message.head.headers['content-type'] ?? [];
  // A line for each piece of an answer, as Ollama sends them.
  if (type !== undefined && JSON_LINES.test(type)) maskBody(channel, message, createSpelling(locate)?.take(keptBytes(message.body), 'all') ?? []);
}

function compressedIn({ body, head, fault }: Message): readonly Range[] {
  return compressedRanges(keptBytes(body), head.headers['content-type']?.[0], fault === null);
}

function decodeCompressed(channel: Channel, message: Message, compressed: readonly Range[]): void {
  if (message.fault !== null) return;
  message.decoded = decodeMessages(channel.environment, message.head, keptBytes(message.body), compressed);
  addSecrets(channel, message, message.decoded.secrets);
}

function maskBody(channel: Channel, message: Message, ranges: readonly Range[]): void {
  if (ranges.length === 0) return;
  fillRanges(ownBytes(message.body), ranges);
  addSecrets(channel, message, secretsOf(ranges));
  maskWire(channel, message, ranges);
}

/** One block of an event stream is read: `ranges` are its secrets, `end` is where it ends in the body. */
function maskBlock(channel: Channel, message: Message, ranges: readonly Range[], end: number): void {
  const { wire, body } = message;
  if (ranges.length > 0) {
    fillRanges(keptBytes(body), ranges);
    addSecrets(channel, message, secretsOf(ranges));
  }
  if (wire === null) return;
  maskWire(channel, message, ranges);
  eachWireRange(wire, end - 1, end, (_start, after) => channel.hold?.settle(message.direction, after));
  const pieces = wire.offsets.length;
  forgetBefore(wire, end - 1);
  channel.environment.bodies.used -= (pieces - wire.offsets.length) * PIECE_COST;
}

function maskWire(channel: Channel, message: Message, ranges: readonly Range[]): void {
  if (message.wire === null) return;
  for (const { start, end } of ranges) {
    eachWireRange(message.wire, start, end, (from, to) => channel.hold?.mask(message.direction, from, to));
  }
}
