/**
 * Batches in memory that the hub has not stored yet, in order, and how far the
 * present connection has been given them. While the newest one waits it takes
 * in what comes after it: the slower the hub, the larger its batches, and a hub
 * that keeps up gets each at once. A batch that any connection was given never
 * changes again, because its number is what the store knows it by.
 */
import type { Batch } from './spool.ts';

/** Lines that have no number yet. */
export interface Lines {
  readonly jsonl: Buffer;
  readonly events: number;
}

export interface UnackedBatch {
  readonly sequence: number;
  readonly parts: readonly Buffer[];
  readonly bytes: number;
  readonly events: number;
  /** A segment of the spool holds it as well. */
  readonly onDisk: boolean;
  /** Given to some connection before. */
  sent: boolean;
}

interface Growing extends UnackedBatch {
  readonly parts: Buffer[];
  bytes: number;
  events: number;
}

export class UnackedBatches {
  #batches: Growing[] = [];
  /** Index of the first batch that the present connection was not given. */
  #next = 0;
  #bytes = 0;
  #events = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get events(): number {
    return this.#events;
  }

  /** Batches that the present connection was given and has not acknowledged. */
  get inFlight(): number {
    return this.#next;
  }

  push(batch: Batch, { onDisk }: { readonly onDisk: boolean }): void {
    const { sequence, jsonl, events } = batch;
    this.#batches.push({ sequence, parts: [jsonl], bytes: jsonl.length, events, onDisk, sent: false });
    this.#count(jsonl.length, events);
  }

  /** Into the newest batch; false when that was sent, lies on disk, or would exceed `maxBytes`. */
  join({ jsonl, events }: Lines, maxBytes: number): boolean {
    const newest = this.#batches.at(-1);
    if (newest === undefined || newest.sent || newest.onDisk || newest.bytes + jsonl.length > maxBytes) return false;
    newest.parts.push(jsonl);
    newest.bytes += jsonl.length;
    newest.events += events;
    this.#count(jsonl.length, events);
    return true;
  }

  /** The next batch to send, or undefined. */
  next(): UnackedBatch | undefined {
    const batch = this.#batches[this.#next];
    if (batch !== undefined) this.#next += 1;
    return batch;
  }

  /** A new connection has been given nothing yet. */
  rewind(): void {
    this.#next = 0;
  }

  /** Takes out everything up to `sequence`; nothing for one that was acknowledged before or was never sent. */
  ack(sequence: number): readonly UnackedBatch[] {
    let count = 0;
    while (count < this.#next && (this.#batches[count] as UnackedBatch).sequence <= sequence) count += 1;
    const done = this.#batches.splice(0, count);
    this.#next -= count;
    for (const batch of done) this.#count(-batch.bytes, -batch.events);
    return done;
  }

  /** Those that are nowhere on disk, in runs of neighbouring sequences. */
  runsInMemoryOnly(): readonly (readonly Batch[])[] {
    const runs: Batch[][] = [];
    let previous = -1;
    for (const { sequence, parts, events, onDisk } of this.#batches) {
      if (onDisk) continue;
      const batch = { sequence, jsonl: Buffer.concat(parts), events };
      if (sequence === previous + 1) runs.at(-1)?.push(batch);
      else runs.push([batch]);
      previous = sequence;
    }
    return runs;
  }

  #count(bytes: number, events: number): void {
    this.#bytes += bytes;
    this.#events += events;
  }
}
