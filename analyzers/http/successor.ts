/**
 * What reads a connection, or a stream of one, after an exchange that changed its protocol: 101, or 2xx to
 * CONNECT. The bytes come with the wire positions that they have in `channel`.
 */
import type { Channel } from './channel.ts';
import type { Exchange } from './exchange.ts';
import { createHttp2 } from './http2.ts';
import { createOpaque } from './opaque.ts';
import type { Protocol } from './protocol.ts';
import { createWebsocket, isWebsocket } from './websocket.ts';

/**
 * `exchange` is over and was emitted, but for `isHttp2Upgrade`; null when its request was not told from others.
 * `isEarly`: bytes of the client's side came before, and were read as something else; `earlier`: exchanges that the connection had.
 */
export function createSuccessor(channel: Channel, exchange: Exchange | null, { isEarly, earlier }: { readonly isEarly: boolean; readonly earlier: number }): Protocol {
  if (exchange !== null && isHttp2Upgrade(exchange)) {
    return createHttp2(channel, { client: exchange.request?.direction ?? null, upgraded: exchange, earlier });
  }
  if (exchange !== null && isWebsocket(exchange)) return createWebsocket(channel, exchange, isEarly);
  channel.environment.counters.add('opaque_upgraded');
  return createOpaque(channel);
}

/** 101 to `Upgrade: h2c` (RFC 7540 §3.2) is no answer: that comes on stream 1. */
export function isHttp2Upgrade({ request, response }: Exchange): boolean {
  const asked = request?.head.headers['upgrade']?.some((value) => value.toLowerCase().split(/[\s,]+/).includes('h2c')) ?? false;
  const told = response?.head.status === 101 && (response.head.headers['upgrade']?.some((value) => value.toLowerCase() === 'h2c') ?? false);
  return asked && told && request?.done === true;
}
