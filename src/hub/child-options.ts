/** What the parent of a hub's process and that process say to each other. */
import type { ErrorCode } from '../errors.ts';
import type { HubOptions } from './main.ts';

export const HUB_OPTIONS_VARIABLE = 'AGENTSIGHT_HUB_OPTIONS';

export type ChildOptions = Omit<HubOptions, 'log'>;

/** Last line of the log when the hub could not start. */
export interface ChildFailure {
  readonly pid: number;
  readonly failed: {
    readonly code: ErrorCode | null;
    readonly message: string;
    readonly hint?: string | undefined;
    readonly detail?: string | undefined;
  };
}
