/**
 * Raw mode in HTTP/2: bodies of many streams are read at once, and each keeps
 * its bytes until its secrets are known. Up to where the connection is settled is up
 * to the first byte that any of them keeps.
 */
import type { Direction } from '../../src/event.ts';
import type { Channel } from './channel.ts';
import type { Hold } from './hold.ts';

interface Side {
  /** All before it was read. */
  read: number;
  /** End of the piece of a body being read. */
  piece: number;
  /**
   * Stream to the first byte of its body that is not settled, in order of those bytes: a stream
   * settles bytes of the piece being read alone, so what it keeps then is the last.
   */
  readonly pins: Map<number, number>;
}

export interface Settled {
  /** Bytes of a body are about to be read. */
  begin(direction: Direction, stream: number, start: number, end: number): void;
  /** Nothing of the stream waits any more. */
  end(direction: Direction, stream: number): void;
  /** The parser is done with all before `position`. */
  read(direction: Direction, position: number): void;
  /** The channel as it is for one stream. */
  channelOf(stream: number): Channel;
}

export function createSettled(channel: Channel, hold: Hold): Settled {
  const sides: Readonly<Record<Direction, Side>> = { read: createSide(), write: createSide() };

  function release(direction: Direction): void {
    const { read, pins } = sides[direction];
    for (const pin of pins.values()) {
      hold.settle(direction, Math.min(read, pin));
      return;
    }
    hold.settle(direction, read);
  }

  function settle(direction: Direction, stream: number, position: number): void {
    const side = sides[direction];
    if (!side.pins.delete(stream)) return;
    if (position < side.piece) side.pins.set(stream, position);
    release(direction);
  }

  return {
    begin(direction, stream, start, end) {
      const side = sides[direction];
      side.piece = end;
      if (!side.pins.has(stream)) side.pins.set(stream, start);
    },
    end(direction, stream) {
      const side = sides[direction];
      if (!side.pins.delete(stream)) return;
      side.read = Math.max(side.read, side.piece);
      release(direction);
    },
    read(direction, position) {
      const side = sides[direction];
      side.read = Math.max(side.read, position);
      release(direction);
    },
    channelOf: (stream) => ofStream(channel, { ...hold, settle: (direction, position) => settle(direction, stream, position) }),
  };
}

function createSide(): Side {
  return { read: 0, piece: 0, pins: new Map() };
}

/** What changes with every event is asked of the connection's own. */
function ofStream(channel: Channel, hold: Hold): Channel {
  const { environment, connection, tls, firstExchange, seen } = channel;
  return {
    environment, connection, tls, firstExchange, seen, hold,
    get endpoint() {
      return channel.endpoint;
    },
    get carrier() {
      return channel.carrier;
    },
    get faulty() {
      return channel.faulty;
    },
  };
}
