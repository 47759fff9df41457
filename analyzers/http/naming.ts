/**
 * What a connection inside TLS speaks that nothing here parses, told by the first bytes of its two directions: some
 * protocols by the first of them, commands that are typed by hand only with their answer.
 */
import type { Direction } from '../../src/event.ts';
import { type Spoken, spokenIn } from '../../src/spoken.ts';
import type { Channel } from './channel.ts';

/** Twice what any of them needs. */
const FIRST_BYTES = 16;

export interface Naming {
  /** Bytes of one direction, in order. */
  take(direction: Direction, bytes: Buffer, position: number): void;
  /** No more come. */
  end(): void;
}

/** `isOpaque`: it is counted whether it got a name. */
export function createNaming(channel: Channel, isOpaque: boolean): Naming {
  const first: Record<Direction, Buffer> = { read: Buffer.alloc(0), write: Buffer.alloc(0) };
  let isSettled = false;

  function settle(speaks: Spoken | null): void {
    const { counters, isReplay } = channel.environment;
    isSettled = true;
    if (isOpaque) counters.add(speaks === null ? 'opaque_unknown' : 'opaque_named');
    if (speaks !== null && !isReplay) nameConnection(channel, speaks);
  }

  return {
    take(direction, bytes, position) {
      // After a gap, or where it was joined midway, they are not its first.
      if (isSettled || position !== first[direction].length) return;
      first[direction] = Buffer.concat([first[direction], bytes.subarray(0, FIRST_BYTES)]).subarray(0, FIRST_BYTES);
      const speaks = spokenIn(first);
      if (speaks !== null || (first.read.length === FIRST_BYTES && first.write.length === FIRST_BYTES)) settle(speaks);
    },
    end() {
      if (!isSettled) settle(null);
    },
  };
}

function nameConnection({ environment, carrier, connection, endpoint, tls }: Channel, speaks: Spoken): void {
  const { timestamp, pid, comm, process, session } = carrier;
  environment.derive({
    timestamp, source: 'net', pid, comm, data: { event: 'PROTOCOL', connection, endpoint, tls, speaks }, id: environment.nextId(), process, session,
  });
}
