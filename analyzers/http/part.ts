/** One `tls` event with bytes, and the same with bytes of its own. */
import type { TlsChunk, TlsEvent } from '../../src/event.ts';

export interface Part {
  readonly event: TlsEvent;
  /** Its data. */
  readonly chunk: TlsChunk;
}

/** For a part that has to wait: a view into its batch would keep the whole batch alive. */
export function ownPart(part: Part): Part {
  const { event, chunk } = part;
  const { payload } = chunk;
  if (payload.byteLength * 2 >= payload.buffer.byteLength) return part;
  const copy = Buffer.allocUnsafeSlow(payload.byteLength);
  copy.set(payload);
  const own = { ...chunk, payload: copy };
  return { event: { ...event, data: own }, chunk: own };
}
