/**
 * What reads a connection, or a stream of one, after an exchange that changed its protocol: 101, or 2xx to
 * CONNECT. The bytes come with the wire positions that they have in `channel`.
 */
import type { Channel } from './channel.ts';
import type { Exchange } from './exchange.ts';
import { createOpaque } from './opaque.ts';
import type { Protocol } from './protocol.ts';

/** `exchange` is over and was emitted; null when its request and response were not told apart. */
export function createSuccessor(channel: Channel, _exchange: Exchange | null): Protocol {
  channel.environment.counters.add('opaque_upgraded');
  return createOpaque(channel);
}
