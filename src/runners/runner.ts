/**
 * A runner is a source of events: the kernel, or a capture being replayed.
 */
import type { Observable } from 'rxjs';
import type { Event } from '../event.ts';
import type { StageStats } from '../stats.ts';

export interface Runner {
  /**
   * Cold, one subscriber. Subscribing starts the runner. Each emission is what
   * one drain brought, in order, and may be large; the pipeline hands its events
   * to the analyzers one by one. Completes after `stop`, when all is delivered;
   * errors with an AgentsightError.
   */
  readonly batches: Observable<readonly Event[]>;
  /** Ends the source, delivers what it still holds, then completes `batches`. Safe twice. */
  stop(): Promise<void>;
  stats(): readonly StageStats[];
}
