// @ts-check
/**
 * One set-up at a time: an OS lock (flock) on a folder that is there anyway. It
 * goes with the process that holds it, however that ends, so none is ever
 * stale, and it leaves no file behind. Node cannot flock, so util-linux does it
 * on our descriptor; where that is missing, nothing is locked.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { say } from './shell.mjs';

/** flock's own answer to --nonblock where somebody else has it. */
const TAKEN = 1;

/**
 * @template T
 * @param {string} folder
 * @param {string} other who else may have it, as `another set-up of this checkout`
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(folder, other, work) {
  const descriptor = openSync(folder, 'r');
  try {
    const { status } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    if (status === TAKEN) {
      say(`- waiting for ${other} to end`);
      await untilFree(descriptor);
    }
    return await work();
  } finally {
    closeSync(descriptor);
  }
}

/** @param {number} descriptor */
function untilFree(descriptor) {
  return new Promise((resolve) => {
    const child = spawn('flock', ['--exclusive', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    child.on('error', resolve).on('close', resolve);
  });
}
