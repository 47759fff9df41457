/** Chunks of stdio, and what redaction shows of them. */
import { from } from 'rxjs';
import { createRedactCounters, redact } from '../../analyzers/redact.ts';
import type { Event, StdioEvent } from '../../src/event.ts';
import { nanoseconds } from '../../src/time.ts';
import { chunk, eventOf } from './events.ts';

export interface Said {
  readonly target?: string;
  readonly timeMs?: number;
  readonly process?: string;
}

export function say(text: string | Buffer, { target = 'pipe:[1]', timeMs = 0, process = 'p' }: Said = {}): StdioEvent {
  const event = eventOf('stdio', { fd: 1, role: 'stdout', target, peer_target: null, peers: [], ...chunk(Buffer.from(text)) } as const);
  return { ...event, process, timestamp: nanoseconds(BigInt(timeMs) * 1_000_000n) };
}

/** In so many pieces as there are lengths, again and again, so far apart. */
export function sayInPieces(text: string | Buffer, { lengths, everyMs = 0 }: { readonly lengths: readonly number[]; readonly everyMs?: number }): StdioEvent[] {
  const bytes = Buffer.from(text);
  const events: StdioEvent[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1;
    events.push(say(bytes.subarray(at, at + length), { timeMs: turn * everyMs }));
    at += length;
  }
  return events;
}

export function textOf(event: Event | undefined): string {
  return event?.source === 'stdio' ? Buffer.from(event.data.payload).toString('latin1') : '';
}

export function shown(events: readonly Event[], options: Partial<Parameters<typeof redact>[0]> = {}) {
  const found: Event[] = [];
  const counters = createRedactCounters();
  from(events).pipe(redact({ enabled: true, counters, ...options })).subscribe((event) => found.push(event));
  return { found, counters, texts: found.map(textOf) };
}
