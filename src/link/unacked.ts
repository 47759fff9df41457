/** Batches in memory that the hub has not stored yet, in order, and how far the present connection has been given them. */
import type { Batch } from './spool.ts';

export interface UnackedBatch extends Batch {
  /** A segment of the spool holds it as well. */
  readonly onDisk: boolean;
  /** Given to some connection before. */
  sent: boolean;
}

export class UnackedBatches {
  #batches: UnackedBatch[] = [];
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

  push(batch: Batch, { onDisk }: { readonly onDisk: boolean }): void {
    this.#batches.push({ ...batch, onDisk, sent: false });
    this.#bytes += batch.jsonl.length;
    this.#events += batch.events;
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
    for (const batch of done) {
      this.#bytes -= batch.jsonl.length;
      this.#events -= batch.events;
    }
    return done;
  }

  /** Those that are nowhere on disk, in runs of neighbouring sequences. */
  runsInMemoryOnly(): readonly (readonly Batch[])[] {
    const runs: Batch[][] = [];
    let previous = -1;
    for (const batch of this.#batches) {
      if (batch.onDisk) continue;
      if (batch.sequence === previous + 1) runs.at(-1)?.push(batch);
      else runs.push([batch]);
      previous = batch.sequence;
    }
    return runs;
  }
}
