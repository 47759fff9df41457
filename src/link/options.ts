/** What a link to the hub is given, and its limits, which tests make small. */
import { LIMITS } from '../limits.ts';
import type { StageStats } from '../stats.ts';
import type { Hello, Welcome } from './protocol.ts';

export interface HubLinkOptions {
  /** Asked at each attempt: a hub that was started anew may listen elsewhere. */
  readonly socketPath: string | (() => string | Promise<string>);
  readonly hello: Hello;
  readonly spoolDir: string;
  /** Who shall own the spool when we are root. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Words for the user: the hub is gone, back, refuses us; what is left at the end. */
  readonly onNotice: (message: string) => void;
  readonly onWelcome?: (welcome: Welcome) => void;
  /** What the hub is told once a second. */
  readonly stages?: () => readonly StageStats[];
  /** Batches that earlier collectors left in their spools are delivered too; true by default. */
  readonly deliverLeftovers?: boolean;
  readonly limits?: Partial<HubLinkLimits>;
}

export interface HubLinkLimits {
  readonly unackedBytes: number;
  readonly batchesInFlight: number;
  readonly batchBytes: number;
  readonly spoolBytes: number;
  readonly segmentBytes: number;
  readonly frameBytes: number;
  readonly retryFirstMs: number;
  readonly retryLastMs: number;
  readonly refusedRetryMs: number;
  readonly closeMs: number;
  readonly closeUnreachableMs: number;
  readonly closeLeftoversMs: number;
  readonly statsMs: number;
}

export const DEFAULT_LIMITS: HubLinkLimits = {
  unackedBytes: LIMITS.linkUnackedBytes,
  batchesInFlight: LIMITS.linkBatchesInFlight,
  batchBytes: LIMITS.linkBatchBytes,
  spoolBytes: LIMITS.spoolBytes,
  segmentBytes: LIMITS.spoolSegmentBytes,
  frameBytes: LIMITS.linkFrameBytes,
  retryFirstMs: LIMITS.linkRetryFirstMs,
  retryLastMs: LIMITS.linkRetryLastMs,
  refusedRetryMs: LIMITS.linkRefusedRetryMs,
  closeMs: LIMITS.linkCloseMs,
  closeUnreachableMs: LIMITS.linkCloseUnreachableMs,
  closeLeftoversMs: LIMITS.linkCloseLeftoversMs,
  statsMs: LIMITS.linkStatsMs,
};
