/** Ends a running hub from outside: `serve --stop`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../errors.ts';
import type { User } from '../user.ts';
import { readHubFile } from './hub-file.ts';
import { isHubProcess, isProcessOf } from './processes.ts';

const POLL_MS = 25;
const STOP_MS = 15_000;

/** Ends the running hub of this data directory. False when there was none. */
export async function stopHub(dataDir: string, user: User): Promise<boolean> {
  const file = readHubFile(dataDir, user.uid);
  if (file === null || !isProcessOf(file.pid, user.uid) || !isHubProcess(file.pid)) return false;
  signal(file.pid, 'SIGTERM');
  const deadline = performance.now() + STOP_MS;
  while (isProcessOf(file.pid, user.uid)) {
    if (performance.now() > deadline) {
      signal(file.pid, 'SIGKILL');
      break;
    }
    await sleep(POLL_MS);
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended between the look and the signal: that is what was wanted.
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
