/**
 * A sink is a place where batches of events go: terminal, file, hub.
 *
 * `write` never throws and never waits: a sink that cannot keep up refuses
 * within its own limit and counts what it refused. One sink's failure is not
 * another's.
 */
import type { Event } from '../event.ts';
import type { StageStats } from '../stats.ts';

/** Some events in the order they were completed, in the forms that the sinks take. */
export interface EventBatch {
  readonly count: number;
  /** Empty where no sink takes events. */
  readonly events: readonly Event[];
  /** One line per event, each with its newline, UTF-8. Empty where no sink takes lines. */
  readonly jsonl: Buffer;
}

export interface Sink {
  readonly name: string;
  /** What it reads of a batch: the other form is not made for it, or kept. */
  readonly takes: 'events' | 'lines';
  write(batch: EventBatch): void;
  /**
   * Resolves when the sink can take more without refusing: for a source that
   * can wait, such as a replay. A sink without it never refuses for long.
   */
  ready?(): Promise<void>;
  /** Delivers what it holds, as far as it can, within a bounded time. Safe twice. */
  close(): Promise<void>;
  stats(): StageStats;
}
