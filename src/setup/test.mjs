// @ts-check
/**
 * `npm test`: sets everything up, runs the tiers in order, and ends with one
 * line over all of them. Arguments choose tiers (`unit`, `kernel`, `kernels` …)
 * or files (`test/unit/x.test.ts`); what starts with - goes to vitest.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fetchAgents } from './agents.mjs';
import { countOf, troubleOf, verdict } from './report.mjs';
import { runMain, setUp } from './setup.mjs';
import { ROOT, SetupError, isRoot, run, say } from './shell.mjs';

/**
 * @typedef {object} Tier
 * @property {string} name of a project in vitest.config.ts
 * @property {RegExp} files that it holds
 * @property {number} limitMinutes a tier that hangs is ended and counts as failed
 * @property {true} [onRequest] takes long or fetches much: runs where CI is set, and where it is asked for
 * @property {() => Promise<void>} [prepare] what it needs beyond the set-up
 * @property {true} [offline] runs where loopback is the only network: its programs would call home
 */

/** @type {readonly Tier[]} In this order: the cheapest answer first. */
export const TIERS = [
  { name: 'unit', files: /^test\/(unit\/|tidy\.test\.ts)/, limitMinutes: 10 },
  { name: 'kernel', files: /^test\/kernel\//, limitMinutes: 35 },
  { name: 'kernels', files: /^test\/kernels\//, limitMinutes: 30, onRequest: true },
  { name: 'agents', files: /^test\/agents\//, limitMinutes: 30, onRequest: true, prepare: fetchAgents, offline: true },
  { name: 'hub', files: /^test\/hub\//, limitMinutes: 20 },
  { name: 'ui', files: /^test\/ui\//, limitMinutes: 20 },
];

/** Runs what follows in a network of its own, with nothing but loopback. */
const OFFLINE = /** @type {const} */ (['unshare', '--net', '--', 'sh', '-c', 'busybox ifconfig lo up && exec "$@"', 'sh']);

/** @typedef {import('./report.mjs').Count} Count */

/** @type {NodeJS.Signals | undefined} */
let interrupted;

async function main() {
  const isCi = (process.env.CI ?? '') !== '';
  const plan = choose(process.argv.slice(2), { isCi });
  await setUp({ test: true });
  // By hand it is `npm run check`: half a minute is much before one test.
  if (isCi) await run({ name: 'checking types and style', command: ['npm', 'run', '--silent', 'check'], advice: 'run `npm run check` to see every complaint' });
  const total = { passed: 0, failed: 0, skipped: 0 };
  /** @type {string[]} */
  const trouble = [];
  for (const { tier, files } of plan.tiers) {
    // A machine that others use may be late once. What needed its second try is named at the end; by hand there is none.
    const { count, ...told } = await runTier(tier, [...(isCi ? ['--retry=1'] : []), ...files, ...plan.vitest]);
    trouble.push(...told.trouble);
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
    if (interrupted !== undefined) return 128 + constants.signals[interrupted];
  }
  for (const { name } of plan.leftOut) say(`- ${name}: left out; runs where CI is set, or by npm test -- ${name}`);
  // In CI nothing may be left out: a machine that cannot run a test does not prove anything.
  const skippedCounts = isCi && total.skipped > 0;
  if (skippedCounts) say('✗ skipped tests count as a failure where CI is set');
  // What went wrong may have scrolled away an hour of tests ago.
  for (const text of trouble) say(text);
  // The verdict is the very last line, on stdout, whatever the tiers printed.
  process.stdout.write(`${verdict(total)}\n`);
  return total.failed > 0 || skippedCounts || total.passed === 0 ? 1 : 0;
}

/**
 * @param {readonly string[]} args
 * @param {{ isCi: boolean }} where
 * @returns {{ tiers: readonly { tier: Tier, files: readonly string[] }[], leftOut: readonly Tier[], vitest: readonly string[] }}
 */
export function choose(args, { isCi }) {
  const firstFlag = args.findIndex((argument) => argument.startsWith('-'));
  const chosen = (firstFlag === -1 ? args : args.slice(0, firstFlag)).map((argument) => argument.replace(/^\.\//, ''));
  for (const name of chosen) {
    const known = TIERS.some((tier) => tier.name === name || tier.files.test(name));
    if (!known) throw new SetupError(`there is no tier or test file ${name}`, `tiers are ${TIERS.map((tier) => tier.name).join(', ')}`);
  }
  const leftOut = chosen.length > 0 || isCi ? [] : TIERS.filter(({ onRequest }) => onRequest === true);
  const tiers = TIERS.filter((tier) => !leftOut.includes(tier))
    .map((tier) => ({ tier, files: chosen.includes(tier.name) ? [] : chosen.filter((name) => tier.files.test(name)) }))
    .filter(({ tier, files }) => chosen.length === 0 || chosen.includes(tier.name) || files.length > 0);
  return { tiers, leftOut, vitest: firstFlag === -1 ? [] : args.slice(firstFlag) };
}

/**
 * @param {Tier} tier
 * @param {readonly string[]} args
 * @returns {Promise<{ count: Count, trouble: readonly string[] }>}
 */
async function runTier(tier, args) {
  const folder = mkdtempSync(join(tmpdir(), 'agentsight-test-'));
  const reportFile = join(folder, 'report.json');
  const started = performance.now();
  try {
    await tier.prepare?.();
    const end = await runVitest(tier, [
      '--project', tier.name, '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`, ...args,
    ]);
    const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, 'utf8')) : undefined;
    const count = countOf(report, end);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${count.failed > 0 ? '✗' : '✓'} ${tier.name}: ${verdict(count)} (${seconds} s)${end === 0 || end === 1 ? '' : `, vitest ended with ${end}`}`);
    return { count, trouble: troubleOf(tier.name, report, end) };
  } catch (error) {
    // What it needs is not to be had: this tier has failed, the others go on.
    if (!(error instanceof SetupError)) throw error;
    const text = `✗ ${tier.name}: ${error.message}${error.advice === undefined ? '' : `\n  ${error.advice}`}`;
    say(text);
    return { count: { passed: 0, failed: 1, skipped: 0 }, trouble: [text] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {Tier} tier
 * @param {readonly string[]} args
 * @returns {Promise<number | string>} exit code, or how else it ended
 */
function runVitest(tier, args) {
  return new Promise((resolve) => {
    const [program, ...first] = tier.offline === true && isRoot() ? [...OFFLINE, process.execPath] : [process.execPath];
    const child = spawn(program, [...first, join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
      cwd: ROOT,
      // stdout is for the verdict and for what vitest says; stdin is nobody's.
      stdio: ['ignore', 'inherit', 'inherit'],
      // A group of its own, so that a hanging tier is ended with everything it started.
      detached: true,
    });
    const endGroup = (/** @type {NodeJS.Signals} */ signal) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
      }
    };
    let ending = '';
    const limit = setTimeout(() => {
      ending = `its limit of ${tier.limitMinutes} minutes`;
      endGroup('SIGKILL');
    }, tier.limitMinutes * 60_000);
    const interrupt = (/** @type {NodeJS.Signals} */ signal) => {
      interrupted = signal;
      endGroup(signal);
      setTimeout(() => endGroup('SIGKILL'), 3000).unref();
    };
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      // Whatever the tests left running must not meet the next tier.
      endGroup('SIGKILL');
      resolve(ending !== '' ? ending : code ?? signal ?? 'nothing');
    });
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
