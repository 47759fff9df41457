/** Events with plaintext, as the decoder makes them, for benches that read what one connection says. */
import type { Direction, TlsEvent } from '../../src/event.ts';
import { nanoseconds } from '../../src/time.ts';

export interface Lane {
  readonly direction: Direction;
  position: number;
}

export function createLane(direction: Direction): Lane {
  return { direction, position: 0 };
}

/** The next bytes of the lane, sent by one call. */
export function chunkOf(lane: Lane, payload: Buffer): TlsEvent {
  const { position, direction } = lane;
  lane.position += payload.length;
  return {
    timestamp: nanoseconds(1n), source: 'tls', pid: 1, comm: 'bench', id: '', process: 'p', session: null,
    data: {
      event: 'DATA', connection: 'c', direction, position, library: 'openssl', endpoint: null, server_name: null, len: payload.length,
      total: payload.length, offset: 0, payload, truncated: false, fault: false, tid: 1,
    },
  };
}
