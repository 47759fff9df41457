/** What the header blocks of one direction say of its streams: heads, trailers, promises. */
import type { SecretMarks } from '../../src/event.ts';
import { BAD_BLOCK, type Block } from '../http2/block.ts';
import { type Secrets, decodeBlock } from '../http2/hpack.ts';
import { type Field, loseEntries } from '../http2/table.ts';
import { addInterim } from './exchange.ts';
import { flagsOf } from './flags2.ts';
import { headOf, kindOf, listOf } from './head2.ts';
import { type Http2, type Lane, begin, endStream, messageOf, redactedIn } from './http2-lane.ts';
import { addFlag, addSecrets, createMessage, endMessage, openStream } from './message.ts';
import { type Stream, closeWhenDone, isClosed, openStreamOf, opposite, ownerOf, tunnelWhenGranted } from './streams.ts';
import { eachWireRange } from './wire-map.ts';

export function onBlock(http: Http2, lane: Lane, block: Block): void {
  const { streams } = http;
  const fields = readBlock(http, lane, block);
  const { direction } = lane;
  const number = block.promised === 0 ? block.stream : block.promised;
  if (isClosed(streams, number)) return;
  if (fields === null) {
    // Its stream is known, and that a head or trailers of it were here.
    const message = messageOf(http, lane, openStreamOf(streams, number));
    message.fault ??= block.fault;
  } else if (block.promised > 0) {
    onPromise(http, lane, number, fields);
    return;
  } else {
    const kind = kindOf(fields);
    if (kind !== null) streams.client ??= kind === 'request' ? direction : opposite(direction);
    onFields(http, lane, openStreamOf(streams, number), fields);
  }
  if (block.endStream) endStream(http, lane, number);
}

function readBlock(http: Http2, lane: Lane, block: Block): readonly Field[] | null {
  const { environment, hold } = http.channel;
  const { direction } = lane;
  const bytes = block.bytes.subarray(0, block.kept);
  const replace = (start: number, masked: Buffer): void => {
    eachWireRange(block.wire, start, start + masked.length, (from, to) => {
      hold?.replace(direction, from, masked.subarray(0, to - from));
      masked = masked.subarray(to - from);
    });
  };
  if (block.fault === null) {
    const secrets: Secrets | null = environment.locate === undefined ? null
      : { locate: (line) => environment.locate?.('head', line) ?? [], onMasked: replace };
    const fields = decodeBlock(lane.table, bytes, secrets);
    if (fields !== null) {
      const unknown = fields.filter(({ name }) => name === null).length;
      if (unknown > 0) environment.counters.add('hpack_unknown', unknown);
      return fields;
    }
    block.fault = BAD_BLOCK;
    environment.counters.add('hpack_errors');
    // So that nobody can read it in a capture either.
    if (!environment.keepOpaque) replace(0, Buffer.alloc(bytes.length, 0x80));
  } else {
    eachWireRange(block.wire, 0, block.kept, (from, to) => hold?.unread(direction, from, to));
    if (block.length > environment.limits.httpHeadBytes) environment.counters.add('heads_too_long');
  }
  loseEntries(lane.table);
  return null;
}

/** A head, or the trailers of the message that is there. */
function onFields(http: Http2, lane: Lane, stream: Stream, fields: readonly Field[]): void {
  const { streams } = http;
  const { direction } = lane;
  const there = stream.messages[direction];
  if (there !== null) {
    if (there.done) return;
    there.trailers = [...there.trailers, ...listOf(fields)];
    there.last = http.channel.carrier.timestamp;
    there.redacted += redactedIn(http, listOf(fields));
    addSecrets(stream.channel, there, secretsIn(fields));
    for (const flag of flagsOf('trailers', fields)) addFlag(there, flag);
    return;
  }
  if (stream.tunnel !== null) return;
  const kind = kindOf(fields) ?? (streams.client === null ? 'response' : streams.client === direction ? 'request' : 'response');
  const head = headOf(kind, fields);
  if (kind === 'response' && head.status >= 100 && head.status < 200) {
    addInterim(stream.channel, stream.interim, { head, redacted: redactedIn(http, head.list), secrets: secretsIn(fields) });
    return;
  }
  const message = begin(http, lane, stream, head, secretsIn(fields));
  stream.suspect[direction] = null;
  if (kind === 'response') openStream(stream.channel, message, () => ownerOf(streams, stream));
  tunnelWhenGranted(streams, stream);
}

/** A promise is a request that the server makes for the client. */
function onPromise(http: Http2, lane: Lane, number: number, fields: readonly Field[]): void {
  const { streams } = http;
  const direction = opposite(lane.direction);
  streams.client ??= direction;
  const stream = openStreamOf(streams, number, { pushed: true });
  if (stream.messages[direction] !== null) return;
  const head = headOf('request', fields);
  const from = { head, redacted: redactedIn(http, head.list), secrets: secretsIn(fields) };
  const request = createMessage(stream.channel, direction, from, lane.first, -1);
  stream.messages[direction] = request;
  endMessage(stream.channel, request, true);
  closeWhenDone(streams, stream);
}

function secretsIn(fields: readonly Field[]): SecretMarks {
  return fields.flatMap(({ secrets }) => secrets ?? []);
}
