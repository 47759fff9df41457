// @ts-check
/**
 * Everything between a fresh checkout and a program that runs: Node's version,
 * Debian packages, npm packages, builds. Does only what is missing or stale;
 * with nothing to do it takes a tenth of a second. Plain Node, no packages: it
 * runs before there are any.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildStale } from './builds.mjs';
import { withLock } from './lock.mjs';
import { ensurePackages } from './packages.mjs';
import { ROOT, SetupError, run, say } from './shell.mjs';

/** What package.json's engines say: vite 8 and import.meta.dirname need it. */
const NODE_FLOOR = [20, 19];

/** @param {{ test?: boolean }} [options] */
export async function setUp({ test = false } = {}) {
  checkNode(process.versions.node);
  // Looked at under the lock: what another set-up has done by then is not done again.
  await withLock(ROOT, 'another set-up of this checkout', async () => {
    await ensurePackages({ test });
    if (!npmPackagesMatch(readLock('package-lock.json'), readLock('node_modules/.package-lock.json'))) await installNpmPackages();
    await buildStale();
  });
}

/** @param {string} version */
export function checkNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [floorMajor = 0, floorMinor = 0] = NODE_FLOOR;
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return;
  throw new SetupError(
    `could not start: this is Node ${version}, and ${NODE_FLOOR.join('.')} is the oldest that works`,
    'install a newer Node, for example the one of https://nodejs.org/en/download',
  );
}

async function installNpmPackages() {
  await run({
    name: 'installing npm packages',
    command: ['npm', 'ci', '--no-audit', '--no-fund'],
    advice: 'run `npm ci` to see all of its output; it needs the npm registry, or a mirror named in .npmrc',
    asOwner: true,
  });
}

/**
 * @typedef {{ packages?: Record<string, { version?: string, optional?: boolean, devOptional?: boolean }> }} Lock
 */

/**
 * Whether what npm installed last is what the lock file asks for. npm writes
 * node_modules/.package-lock.json when it has finished, so an interrupted
 * install does not pass.
 *
 * @param {Lock | undefined} wanted
 * @param {Lock | undefined} installed
 */
export function npmPackagesMatch(wanted, installed) {
  if (wanted === undefined) throw new SetupError('could not read package-lock.json', 'get a whole checkout');
  if (installed === undefined) return false;
  return Object.entries(wanted.packages ?? {}).every(([path, { version, optional, devOptional }]) => {
    if (path === '') return true;
    const found = installed.packages?.[path];
    // Optional packages are of other systems, or failed to install and may.
    if (found === undefined) return optional === true || devOptional === true;
    return found.version === version;
  });
}

/**
 * @param {string} path
 * @returns {Lock | undefined}
 */
function readLock(path) {
  const file = join(ROOT, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/**
 * Runs a script's main, and ends with advice instead of a stack where there is any.
 *
 * @param {() => Promise<number>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`✗ ${error.message}`);
    if (error.advice !== undefined) say(`  ${error.advice.replaceAll('\n', '\n  ')}`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runMain(async () => {
    const started = performance.now();
    await setUp({ test: process.argv.includes('--test') });
    say(`✓ ready (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    return 0;
  });
}
