/** What one connection gives to those who read its bytes. */
import type { TlsEvent } from '../../src/event.ts';
import type { Hold } from './hold.ts';
import type { Environment } from './options.ts';

/** The event that bytes came in, without its payload, which would keep a whole batch alive. */
export type Carrier = Pick<TlsEvent, 'timestamp' | 'pid' | 'comm' | 'process' | 'session'>;

export interface Channel {
  readonly environment: Environment;
  readonly connection: string;
  readonly hold: Hold | null;
  /**
   * Number of the first exchange: the position at which the connection was first
   * seen, so that numbers differ from those given before it was forgotten as idle.
   */
  readonly firstExchange: number;
  /** The event whose bytes are being read. */
  carrier: Carrier;
  /** Some of its bytes could not be read from the program's memory. */
  faulty: boolean;
}

export function carrierOf({ timestamp, pid, comm, process, session }: Carrier): Carrier {
  return { timestamp, pid, comm, process, session };
}
