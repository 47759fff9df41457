/** A request, and its answer in the pieces that its program read. */
import type { Event } from '../../src/event.ts';
import { chunk, closing } from '../cases.ts';

/** The bytes of a connection, of its client. */
export interface Answered {
  readonly asked: Buffer;
  readonly answer: Buffer;
}

/** `chunkBytes`: of each piece. A megabyte takes a millisecond. */
export function answeredIn({ asked, answer }: Answered, chunkBytes: () => number): Event[] {
  const events: Event[] = [chunk({ direction: 'write', bytes: asked, position: 0 })];
  for (let at = 0; at < answer.length;) {
    const bytes = answer.subarray(at, at + chunkBytes());
    events.push(chunk({ direction: 'read', bytes, position: at, timeMs: at / 1e6 }));
    at += bytes.length;
  }
  return [...events, closing('c1', answer.length / 1e6)];
}
