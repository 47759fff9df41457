/**
 * Where files lie: the user's data in $XDG_DATA_HOME/agentsight-ts, root's in
 * /var/lib/agentsight-ts. Everything under it is 0700 and 0600.
 */
import { join } from 'node:path';
import type { User } from './user.ts';

export const DEFAULT_PORT = 7395;

/**
 * XDG_DATA_HOME counts only when it is the user's own environment: sudo keeps
 * the name but may have filled it with root's.
 */
export function dataDirOf(user: User, environment: NodeJS.ProcessEnv = process.env): string {
  const own = (process.getuid?.() ?? 0) === user.uid;
  const xdg = own ? environment['XDG_DATA_HOME'] : undefined;
  if (xdg !== undefined && xdg.startsWith('/')) return join(xdg, 'agentsight-ts');
  if (user.uid === 0) return '/var/lib/agentsight-ts';
  return join(user.home, '.local/share/agentsight-ts');
}

/** Files of one data directory. */
export function dataPaths(dataDir: string) {
  return {
    /** ClickHouse's own files. */
    store: join(dataDir, 'store'),
    /** Address, token, pid and version of the running hub. */
    hubFile: join(dataDir, 'hub.json'),
    /** Where collectors talk to the hub. */
    hubSocket: join(dataDir, 'hub.sock'),
    hubLog: join(dataDir, 'hub.log'),
    lock: join(dataDir, 'lock'),
    spool: join(dataDir, 'spool'),
  } as const;
}
