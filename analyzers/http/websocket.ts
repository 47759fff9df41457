/**
 * A WebSocket, from the handshake that was granted on (RFC 6455, RFC 8441): a `websocket` event for each message and
 * control frame, when its last byte arrived. Each direction is read alone. What breaks the framing of one ends the reading of
 * it, and its last event says why; a gap inside a payload costs that message alone, unless later ones are compressed by it. After any other gap
 * an event says so, and a direction goes on at the next message that proves to be one.
 */
import type { Direction, WebsocketData } from '../../src/event.ts';
import { deflateOf } from '../websocket/extensions.ts';
import { type Frame, type FrameHandler, type FrameReader, createFrameReader, feed, finish, lose, skip, soughtFrom } from '../websocket/frame.ts';
import { OPCODE, isControl } from '../websocket/head.ts';
import { type Inflater, close as closeInflater, createInflater, loseContext } from '../websocket/inflater.ts';
import type { Channel } from './channel.ts';
import type { Exchange } from './exchange.ts';
import type { Protocol } from './protocol.ts';
import { type Spelling, createSpelling } from '../redact/spelled.ts';
import { CONTEXT_LOST, type Message, type Speaker, UNREADABLE, addPayload, createMessage, endMessage, missPayload, spoil } from './websocket-message.ts';

interface Lane extends Speaker {
  readonly reader: FrameReader;
  /** null where compression was not agreed on. */
  readonly inflater: Inflater | null;
  /** What its texts spell together; null where no secret is to be hidden. */
  readonly spelling: Spelling | null;
  /** A text or binary message between its first frame and its last. */
  message: Message | null;
  /** A control frame, which may come in between. */
  control: Message | null;
  /** No message began since bytes were lost: fragments may be of one that did before. */
  midway: boolean;
  /** Bytes before this are settled. */
  settled: number;
}

interface Websocket {
  readonly channel: Channel;
  readonly lanes: Readonly<Record<Direction, Lane>>;
  /** Events so far. */
  count: number;
}

type Said = Omit<WebsocketData, 'exchange' | 'connection' | 'url' | 'index' | 'direction' | 'state' | 'reason'> & Partial<Pick<WebsocketData, 'index'>>;
type Ending = Pick<WebsocketData, 'state' | 'reason'>;

const COMPLETE: Ending = { state: 'complete', reason: null };
const NOTHING: Said = {
  opcode: null, body: null, body_encoding: 'utf8', bytes: 0, decoded_bytes: 0, fragments: 0, compressed: false, truncated: false,
  close_code: null, close_reason: null, redacted: 0,
};

/** Whether the exchange opened a WebSocket: 101 to `Upgrade: websocket`, or 2xx to a CONNECT that asks for it. */
export function isWebsocket({ request, response }: Exchange): boolean {
  if (request?.head.method === 'CONNECT') return request.head.protocol?.toLowerCase() === 'websocket';
  return response?.head.status === 101 && (response.head.headers['upgrade']?.some((value) => value.toLowerCase() === 'websocket') ?? false);
}

/** `isEarly`: bytes of the client came before, and were read as something else. */
export function createWebsocket(channel: Channel, { id, url, request, response }: Exchange, isEarly: boolean): Protocol {
  const client = request?.direction ?? (response?.direction === 'write' ? 'read' : 'write');
  const deflate = deflateOf(response?.head.headers['sec-websocket-extensions']);
  const laneOf = (direction: Direction): Lane => {
    const resets = direction === client ? deflate?.clientResets : deflate?.serverResets;
    const lane: Lane = {
      direction, owner: { exchange: id, url, side: direction === client ? 'request' : 'response' }, nextIndex: () => websocket.count++, message: null, control: null, midway: false, settled: 0,
      inflater: resets === undefined ? null : createInflater(channel.environment, resets),
      spelling: createSpelling(channel.environment.locate),
      reader: createFrameReader(createHandler(() => websocket, () => lane), {
        limitBytes: channel.environment.limits.websocketSeekBytes, fromClient: direction === client, deflate: deflate !== null,
      }),
    };
    return lane;
  };
  const websocket: Websocket = { channel, lanes: { read: laneOf('read'), write: laneOf('write') }, count: 0 };
  channel.environment.counters.add('websockets');
  // Where its frames begin, nobody can say.
  if (request === null) lose(websocket.lanes[client].reader, 'gap', 'request not captured');
  else if (isEarly) lose(websocket.lanes[client].reader, 'gap', 'first bytes came before the handshake was over');
  return {
    data(direction, bytes, position, fresh, callEnd) {
      const lane = websocket.lanes[direction];
      if (channel.faulty) doubt(lane, bytes.length);
      feed(lane.reader, bytes, position, { fresh: fresh && !channel.faulty, end: callEnd });
      settle(websocket, lane, position, position + bytes.length);
    },
    missing(direction, position, count, withheld, callEnd) {
      const lane = websocket.lanes[direction];
      if (withheld && lane.reader.over) channel.environment.counters.add('opaque_bytes', count);
      skip(lane.reader, position, count, withheld ? { callEnd } : null);
      if (Number.isFinite(count)) settle(websocket, lane, position, position + count);
    },
    end({ reason }) {
      for (const lane of [websocket.lanes.read, websocket.lanes.write]) {
        finish(lane.reader);
        emitLeft(websocket, lane, { state: 'aborted', reason });
        if (lane.inflater !== null) closeInflater(lane.inflater);
        channel.hold?.settle(lane.direction, Number.MAX_SAFE_INTEGER);
      }
    },
  };
}

function createHandler(websocketOf: () => Websocket, laneOf: () => Lane): FrameHandler {
  return {
    onFrame: (frame) => onFrame(websocketOf(), laneOf(), frame),
    onPayload(frame, payload) {
      const message = messageOf(laneOf(), frame);
      if (message === null) this.onUnread(payload.position, payload.position + payload.bytes.length);
      else addPayload(websocketOf().channel, message, frame, payload);
    },
    onMissing(frame, count, withheld) {
      const message = messageOf(laneOf(), frame);
      if (message !== null) missPayload(websocketOf().channel, message, count, withheld);
    },
    onFrameEnd: (frame) => onFrameEnd(websocketOf(), laneOf(), frame),
    onLost(cause, reason) {
      websocketOf().channel.environment.counters.add(cause === 'gap' ? 'websocket_lost' : 'websocket_errors');
      giveUp(websocketOf(), laneOf(), cause === 'gap' ? reason : `protocol error: ${reason}`);
    },
    onUnread(from, to) {
      const { environment, hold } = websocketOf().channel;
      environment.counters.add('opaque_bytes', to - from);
      hold?.unread(laneOf().direction, from, to);
    },
  };
}

function onFrame({ channel }: Websocket, lane: Lane, frame: Frame): string | null {
  const { opcode, rsv1 } = frame;
  if (isControl(opcode)) {
    if (rsv1) return 'compressed control frame';
    lane.control = createMessage(channel, lane, frame, { inflater: null, spelling: null });
    lane.control.fragments = 1;
    return null;
  }
  if (opcode === OPCODE.continuation) {
    if (lane.message === null) return lane.midway && !rsv1 ? null : 'fragment without a message';
    if (rsv1) return 'compression begins inside of a message';
  } else {
    if (lane.message !== null) return 'message inside of a message';
    if (rsv1 && lane.inflater === null) return 'compression was not agreed on';
    lane.message = createMessage(channel, lane, frame, { inflater: rsv1 ? lane.inflater : null, spelling: frame.opcode === OPCODE.text ? lane.spelling : null });
    lane.midway = false;
  }
  lane.message.fragments++;
  return null;
}

/** The frame being read is one of this message; null of one whose beginning was lost. */
function messageOf(lane: Lane, { opcode }: Frame): Message | null {
  return isControl(opcode) ? lane.control : lane.message;
}

function onFrameEnd(websocket: Websocket, lane: Lane, frame: Frame): boolean {
  if (!frame.fin) return true;
  const message = messageOf(lane, frame);
  const { counters } = websocket.channel.environment;
  if (message === null) {
    lane.midway = false;
    counters.add('websocket_partial');
    return true;
  }
  if (isControl(frame.opcode)) lane.control = null;
  else lane.message = null;
  const told = endMessage(websocket.channel, message, true);
  const { fault } = message;
  if (fault !== null) counters.add('websocket_partial');
  emit(websocket, lane, { ...told, ...(fault === null ? COMPLETE : { state: 'partial', reason: fault }) });
  if (message.inflater?.isBomb === true) {
    closeInflater(message.inflater);
    return false;
  }
  // Nothing follows a close (RFC 6455 §5.5.1).
  return frame.opcode !== OPCODE.close;
}

/** Bytes that could not be read are coming: in a payload they cost that message, in a head they would mislead. */
function doubt({ reader, message, control }: Lane, count: number): void {
  const { frame } = reader;
  if (reader.over || reader.seeker !== null) return;
  if (frame === null || count > reader.remaining) {
    lose(reader, 'gap', UNREADABLE);
    return;
  }
  const one = isControl(frame.opcode) ? control : message;
  if (one !== null) spoil(one, UNREADABLE);
}

/** The last event of this direction, until it is found again. */
function giveUp(websocket: Websocket, lane: Lane, reason: string): void {
  const ending: Ending = { state: 'partial', reason };
  if (!emitLeft(websocket, lane, ending)) emit(websocket, lane, { ...NOTHING, ...ending });
  if (lane.inflater !== null) loseContext(lane.inflater, CONTEXT_LOST);
  lane.midway = true;
}

/** What has not ended. Returns whether there was anything. */
function emitLeft(websocket: Websocket, lane: Lane, ending: Ending): boolean {
  const left = [lane.control, lane.message].filter((message) => message !== null);
  lane.control = null;
  lane.message = null;
  for (const message of left) {
    const told = endMessage(websocket.channel, message, false);
    emit(websocket, lane, { ...told, ...ending, reason: ending.state === 'partial' ? ending.reason : message.fault ?? ending.reason });
  }
  return left.length > 0;
}

/**
 * Up to the first byte that waits for its mask. A frame's head waits until it is whole: it may turn out to be none. So does all that
 * may be of a message when the next is found; it goes when bytes that came after it may, because a stream of HTTP/2 can say of these alone that they are settled.
 */
function settle({ channel }: Websocket, lane: Lane, start: number, end: number): void {
  const { reader, message, control } = lane;
  const sought = soughtFrom(reader);
  if (sought !== null && sought < start) return;
  const from = Math.min(end - reader.headBytes, message?.heldFrom ?? end, control?.heldFrom ?? end, sought ?? end);
  if (from <= lane.settled) return;
  lane.settled = from;
  channel.hold?.settle(lane.direction, from);
}

function emit(websocket: Websocket, { direction, owner: { exchange, url }, nextIndex }: Lane, data: Said & Ending): void {
  const { channel } = websocket;
  const { environment, connection, carrier } = channel;
  const { timestamp, pid, comm, process, session } = carrier;
  environment.counters.add('websocket_messages');
  environment.counters.add('masked', data.redacted);
  environment.derive({
    timestamp, source: 'websocket', pid, comm,
    data: { exchange, connection, url, index: data.index ?? nextIndex(), direction, ...data },
    id: environment.nextId(), process, session,
  });
}
