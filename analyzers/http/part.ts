/** One event with plaintext, of TLS or of a bare socket, and the same with bytes of its own. */
import type { NetChunk, NetEvent, TlsChunk, TlsEvent } from '../../src/event.ts';

export type Chunk = TlsChunk | NetChunk;
export type ChunkEvent = TlsEvent | NetEvent;

export interface Part {
  readonly event: ChunkEvent;
  /** Its data. */
  readonly chunk: Chunk;
}

/** Bytes that it stands for, there or left out. */
export function spanOf(chunk: Chunk): number {
  return chunk.len + (chunk.withheld ?? 0);
}

export function bytesOf({ payload }: Chunk): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** The event with another chunk in it, made of its own. */
export function withChunk(event: ChunkEvent, chunk: Chunk): ChunkEvent {
  return { ...event, data: chunk } as ChunkEvent;
}

/** For a part that has to wait: a view into its batch would keep the whole batch alive. */
export function ownPart(part: Part): Part {
  const { event, chunk } = part;
  const { payload } = chunk;
  if (payload.byteLength * 2 >= payload.buffer.byteLength) return part;
  const copy = Buffer.allocUnsafeSlow(payload.byteLength);
  copy.set(payload);
  const own = { ...chunk, payload: copy };
  return { event: withChunk(event, own), chunk: own };
}
