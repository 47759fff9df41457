/** What one connection gives to those who read its bytes. */
import type { Direction, Endpoint, Event } from '../../src/event.ts';
import type { Hold } from './hold.ts';
import type { Environment } from './options.ts';

/** The event that bytes came in, without its payload, which would keep a whole batch alive. */
export type Carrier = Pick<Event, 'timestamp' | 'pid' | 'comm' | 'process' | 'session'>;

/** Up to where the bytes of each direction were seen, or -1. */
export type Seen = Readonly<Record<Direction, number>>;

export interface Channel {
  readonly environment: Environment;
  readonly connection: string;
  /** Whether the bytes were encrypted on their way. */
  readonly tls: boolean;
  /** Both ends of its socket, from when they are known. */
  endpoint: Endpoint | null;
  readonly hold: Hold | null;
  /**
   * Number of the first exchange: the position at which the connection was first
   * seen, so that numbers differ from those given before it was forgotten as idle.
   */
  readonly firstExchange: number;
  /** Of a connection that was forgotten as idle: nothing before these was lost. */
  readonly seen: Seen | null;
  /** The event whose bytes are being read. */
  carrier: Carrier;
  /** Some of its bytes could not be read from the program's memory. */
  faulty: boolean;
}

export function carrierOf({ timestamp, pid, comm, process, session }: Carrier): Carrier {
  return { timestamp, pid, comm, process, session };
}
