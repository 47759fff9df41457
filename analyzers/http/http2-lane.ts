/** One direction of an HTTP/2 connection, and the messages that go in it. */
import type { Direction, HeaderList, SecretMarks } from '../../src/event.ts';
import type { Head } from '../http1/head.ts';
import type { FrameParser } from '../http2/parser.ts';
import type { Table } from '../http2/table.ts';
import type { Carrier, Channel } from './channel.ts';
import { missingHead } from './head2.ts';
import { countMasked } from './mask.ts';
import { type Message, createMessage } from './message.ts';
import type { Sniff } from './sniff.ts';
import { type Stream, type Streams, closeWhenDone, endSide, ownerOf } from './streams.ts';

export interface Lane {
  readonly direction: Direction;
  readonly parser: FrameParser;
  readonly table: Table;
  /** Carried the first byte of the frame being read. */
  first: Carrier;
  /** The next piece of DATA is the first of its frame. */
  fresh: boolean;
  /** Looks whether the DATA frame being read begins an event of a stream, where no head says so. */
  sniffing: Sniff | null;
}

export interface Http2 {
  readonly channel: Channel;
  readonly streams: Streams;
  readonly lanes: { read: Lane | null; write: Lane | null };
}

export const NO_HEAD = 'head not captured';

/** The message of this direction; where its head was missed, one without. */
export function messageOf(http: Http2, lane: Lane, stream: Stream): Message {
  const there = stream.messages[lane.direction];
  if (there !== null) return there;
  const kind = http.streams.client === lane.direction ? 'request' : 'response';
  return begin(http, lane, stream, missingHead(kind, stream.suspect[lane.direction] ?? NO_HEAD));
}

export function begin(http: Http2, lane: Lane, stream: Stream, head: Head, secrets: SecretMarks = []): Message {
  const from = { head, redacted: redactedIn(http, head.list) + (http.channel.environment.locate === undefined ? 0 : countMasked(Buffer.from(head.target))), secrets };
  const message = createMessage(stream.channel, lane.direction, from, lane.first, lengthOf(head));
  message.owner = ownerOf(http.streams, stream);
  stream.messages[lane.direction] = message;
  return message;
}

/** What the head says of its body, or -1: worth room in memory, and no more. */
function lengthOf({ headers }: Head): number {
  const length = headers['content-length']?.[0];
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : -1;
}

export function redactedIn({ channel }: Http2, list: HeaderList): number {
  if (channel.environment.locate === undefined) return 0;
  return countMasked(Buffer.from(list.map(([, value]) => value ?? '').join('\n')));
}

export function endStream(http: Http2, lane: Lane, number: number): void {
  const { streams } = http;
  const stream = streams.open.get(number);
  if (stream === undefined) return;
  endSide(streams, stream, lane.direction);
  closeWhenDone(streams, stream);
}
