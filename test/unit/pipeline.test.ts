import { of } from 'rxjs';
import { expect, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { runPipeline } from '../../src/pipeline.ts';
import type { EventBatch, Sink } from '../../src/sinks/sink.ts';
import { chunk, stdioEvent } from '../helpers/events.ts';

/** The batches that a sink is given of these events, which come at once. */
async function batchesOf(events: readonly Event[]): Promise<readonly EventBatch[]> {
  const batches: EventBatch[] = [];
  const sink: Sink = {
    name: 'kept',
    takes: 'events',
    write: (batch) => void batches.push(batch),
    close: () => Promise.resolve(),
    stats: () => ({ stage: 'kept', counters: {} }),
  };
  const { done } = runPipeline({
    runner: { batches: of(events), stop: () => Promise.resolve(), stats: () => [] },
    sinks: [sink], nextId: () => 'h.b.c.0', sources: ['stdio'], raw: false, redact: true,
  });
  expect((await done).events).toBe(events.length);
  return batches;
}

const eventsOf = (count: number, payloadBytes: number): Event[] =>
  Array.from({ length: count }, (_, number) => stdioEvent(chunk(Buffer.alloc(payloadBytes, 'x')), number));

test('a batch is full by its events or by their payloads, whichever is first, and none is left out', async () => {
  const small = await batchesOf(eventsOf(LIMITS.batchEvents * 2 + 1, 10));
  expect(small.map(({ count }) => count)).toEqual([LIMITS.batchEvents, LIMITS.batchEvents, 1]);
  const large = await batchesOf(eventsOf(10, LIMITS.batchBytes / 4));
  expect(large.map(({ count }) => count)).toEqual([4, 4, 2]);
  const huge = await batchesOf(eventsOf(2, LIMITS.batchBytes * 3));
  expect(huge.map(({ count }) => count)).toEqual([1, 1]);
});

test('every sink is told first that redaction is off', async () => {
  const written: string[] = [];
  const sink = (name: string): Sink => ({
    name,
    takes: 'lines',
    write: (batch) => void written.push(`${name} ${batch.jsonl.toString()}`),
    close: () => Promise.resolve(),
    stats: () => ({ stage: name, counters: {} }),
  });
  for (const redact of [false, true]) {
    await runPipeline({
      runner: { batches: of([stdioEvent()]), stop: () => Promise.resolve(), stats: () => [] },
      sinks: [sink('a'), sink('b')], nextId: () => 'h.b.c.0', sources: ['stdio'], raw: false, redact,
    }).done;
  }
  const [first, second, ...masked] = written;
  for (const [text, name] of [[first, 'a'], [second, 'b']] as const) {
    expect(text?.split('\n')[0]).toMatch(new RegExp(`^${name} .*"source":"log".*"level":"warn","message":"redaction is off`));
  }
  expect(masked).toHaveLength(2);
  expect(masked.join('')).not.toContain('redaction is off');
});
