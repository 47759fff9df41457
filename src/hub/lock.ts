/**
 * One hub per data directory, by an OS lock (flock) on its lock file: it is
 * gone with the process that holds it, however that dies, so nothing is ever
 * stale. Node cannot flock, so util-linux's `flock` does it on our descriptor;
 * the lock belongs to the open file and stays when `flock` has ended.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, constants, ftruncateSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { AgentsightError, causeText } from '../errors.ts';
import { dataPaths } from '../paths.ts';

export interface DataDirLock {
  /** Safe twice. */
  release(): void;
}

/** Creates the directory (0700) when it is missing. Throws DATA_DIR_UNUSABLE or DATA_DIR_LOCKED. */
export function lockDataDir(dataDir: string): DataDirLock {
  prepareDataDir(dataDir);
  const path = dataPaths(dataDir).lock;
  const descriptor = openLockFile(path);
  const result = spawnSync('flock', ['--nonblock', '--exclusive', '3'], { stdio: ['ignore', 'ignore', 'pipe', descriptor], encoding: 'utf8' });
  if (result.status !== 0) {
    closeSync(descriptor);
    throw result.status === 1 ? lockedError(dataDir, path) : unusable(dataDir, result.error?.message ?? `flock: ${result.stderr.trim()}`, 'it needs `flock` of util-linux');
  }
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`);
  let held = true;
  return {
    release() {
      if (held) closeSync(descriptor);
      held = false;
    },
  };
}

function prepareDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(dataDir);
    if (uid !== process.getuid?.()) {
      throw unusable(dataDir, `it belongs to user id ${uid}`, 'give a folder of your own with --data-dir, or change its owner');
    }
    if ((mode & 0o077) !== 0) chmodSync(dataDir, 0o700);
  } catch (error) {
    if (error instanceof AgentsightError) throw error;
    throw unusable(dataDir, causeText(error), 'choose a folder that this user may write with --data-dir');
  }
}

function openLockFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw new AgentsightError('DATA_DIR_UNUSABLE', `could not open ${path}: ${causeText(error)}`, { cause: error });
  }
}

function lockedError(dataDir: string, path: string): AgentsightError {
  const pid = readFileSync(path, 'utf8').trim();
  return new AgentsightError('DATA_DIR_LOCKED', `could not use the data directory ${dataDir}: process ${pid || 'unknown'} has it`, {
    hint: 'end that process (`agentsight-ts serve --stop` if it is a hub), or give another folder with --data-dir',
  });
}

function unusable(dataDir: string, cause: string, hint: string): AgentsightError {
  return new AgentsightError('DATA_DIR_UNUSABLE', `could not use the data directory ${dataDir}: ${cause}`, { hint });
}
