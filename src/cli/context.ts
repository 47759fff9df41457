import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { User } from '../user.ts';

/** What every command may need to know. */
export interface Context {
  readonly config: Config;
  readonly user: User;
  readonly log: Log;
}
