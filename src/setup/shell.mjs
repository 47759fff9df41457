// @ts-check
/**
 * Running other programs quietly: one line per step with its duration, the
 * end of their output only when they fail. V=1 shows all of it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Lines of a failed command's output that are worth showing: npm says it first, compilers say it last. */
const HEAD_LINES = 15;
const TAIL_LINES = 30;
/** Kept of a command's output at each end: apt and node-gyp write megabytes. */
const HEAD_BYTES = 8 * 1024;
const TAIL_BYTES = 64 * 1024;

const verbose = process.env.V === '1';
const terminal = process.stderr.isTTY === true && !verbose;

/** Something that the person at the keyboard can put right. */
export class SetupError extends Error {
  /**
   * @param {string} message what went wrong
   * @param {string} [advice] what to do, as a command where there is one
   */
  constructor(message, advice) {
    super(message);
    this.name = 'SetupError';
    this.advice = advice;
  }
}

export const isRoot = () => process.getuid?.() === 0;

/** @param {string} text */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** @param {string} program */
export function onPath(program) {
  return (process.env.PATH ?? '').split(':').some((folder) => folder !== '' && existsSync(`${folder}/${program}`));
}

/**
 * @typedef {object} Step
 * @property {string} name what it does, as `building the page`
 * @property {readonly [string, ...string[]]} command
 * @property {string} advice what to do when it fails
 * @property {NodeJS.ProcessEnv} [env] added to ours
 * @property {boolean} [asOwner] as the owner of the checkout, where root runs it in a user's
 */

/** @param {Step} step */
export async function run(step) {
  const [program, ...args] = step.asOwner === true ? asOwner(step.command) : step.command;
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  if (!terminal) say(`- ${step.name}`);
  const ticker = terminal ? setInterval(() => process.stderr.write(`\r- ${step.name} (${seconds()} s) `), 500) : undefined;
  if (terminal) process.stderr.write(`- ${step.name} `);
  const { code, output } = await collect(program ?? '', args, { ...process.env, ...step.env });
  clearInterval(ticker);
  if (terminal) process.stderr.write('\r\u001b[2K');
  if (code === 0) return say(`✓ ${step.name} (${seconds()} s)`);
  if (!verbose) say(bothEnds(output).map((line) => `    ${line}`).join('\n'));
  throw new SetupError(`could not finish ${step.name}: \`${step.command.join(' ')}\` ended with ${code}`, step.advice);
}

/** @param {string} output */
function bothEnds(output) {
  const lines = output.trimEnd().split('\n');
  if (lines.length <= HEAD_LINES + TAIL_LINES) return lines;
  return [...lines.slice(0, HEAD_LINES), '…', ...lines.slice(-TAIL_LINES)];
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ code: number | string, output: string }>}
 */
function collect(program, args, env) {
  return new Promise((resolve) => {
    // stdin stays ours: sudo may have to ask for a password.
    const child = spawn(program, args, { cwd: ROOT, env, stdio: verbose ? 'inherit' : ['inherit', 'pipe', 'pipe'] });
    let output = '';
    const keep = (/** @type {Buffer} */ chunk) => {
      output += chunk.toString();
      if (output.length > HEAD_BYTES + 2 * TAIL_BYTES) output = `${output.slice(0, HEAD_BYTES)}\n…\n${output.slice(-TAIL_BYTES)}`;
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('error', (error) => resolve({ code: error.message, output }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'nothing', output }));
  });
}

/**
 * Root in a user's checkout must not leave files there that the user cannot
 * replace. Where the owner is not a user of this machine, as in a container
 * with a mounted checkout, root stays root.
 *
 * @param {readonly [string, ...string[]]} command
 * @returns {readonly [string, ...string[]]}
 */
function asOwner(command) {
  const { uid } = statSync(ROOT);
  if (!isRoot() || uid === 0 || !onPath('setpriv')) return command;
  const entry = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find((field) => field[2] === String(uid));
  if (entry === undefined) return command;
  const [name, , , gid, , home] = entry;
  return [
    'setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--',
    'env', `HOME=${home}`, `USER=${name}`, `LOGNAME=${name}`, ...command,
  ];
}

/**
 * What a program prints, or undefined when it fails or is not there.
 *
 * @param {string} program
 * @param {readonly string[]} args
 */
export function outputOf(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return status === null ? undefined : stdout;
}
