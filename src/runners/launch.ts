/**
 * Starts a command so that nothing of it is missed: the native launcher holds
 * on a pipe until its pid is traced and the command's file is hooked, and only
 * then becomes the command.
 *
 * The command gets the terminal, the working directory and, where root starts
 * it for another user, that user's ids, groups and home. Ctrl-C reaches it from
 * the terminal itself, as it would without us.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, statSync, type BigIntStats } from 'node:fs';
import { constants as systemConstants } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { AgentsightError, causeText, errnoOf } from '../errors.ts';
import type { User } from '../user.ts';

export interface LaunchOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Whom the command runs as; null or ourselves: no change. */
  readonly user: User | null;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Descriptors 0, 1 and 2; ours unless said otherwise. */
  readonly stdio?: readonly [StandardStream, StandardStream, StandardStream];
  /** Somebody else has started it and holds it. */
  readonly held?: HeldElsewhere;
}

export interface HeldElsewhere {
  readonly pid: number;
  /** Where its holder listens. */
  readonly socketPath: string;
}

export type StandardStream = 'inherit' | 'ignore' | number;

export interface LaunchExit {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** As a shell gives it: the code, or 128 and the signal's number. */
  readonly exitCode: number;
}

export interface HeldCommand {
  readonly pid: number;
  /** Lets the command begin. Rejects with COMMAND_NOT_FOUND or COMMAND_NOT_EXECUTABLE. */
  release(): Promise<void>;
  /** Never rejects. */
  readonly exited: Promise<LaunchExit>;
  kill(signal: NodeJS.Signals): void;
  /** Ends the command if it is still held; one that runs goes on. Safe twice. */
  close(): void;
}

const START_FD = 3;
const REPORT_FD = 4;
/** Where the launcher's own file is, so that the user need not be able to reach it by path. It closes it. */
const LAUNCHER_FD = 5;
const LAUNCHER_LINK = `/proc/self/fd/${LAUNCHER_FD}`;
const LAUNCHER_WAIT_MS = 5000;
const LAUNCHER_POLL_MS = 1;
/** The path that execvp falls back to, as glibc has it. */
const DEFAULT_PATH = '/bin:/usr/bin';
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const EXIT_LAUNCHER_FAILED = 125;

/** Resolves when the launcher holds. Throws COMMAND_NOT_FOUND before anything is started, where that is certain. */
export async function holdCommand(options: LaunchOptions, launcherPath: string): Promise<HeldCommand> {
  const env = commandEnvironment(options);
  resolveCommand(options.command, { cwd: options.cwd ?? process.cwd(), env });
  const child = start(options, env, launcherPath);
  const exited = exitOf(child);
  const startPipe = child.stdio[START_FD] as Writable;
  // The launcher may be gone when we write or close: `release` and `exited` tell what became of it.
  startPipe.on('error', () => undefined);
  const report = textOf(child.stdio[REPORT_FD] as Readable);
  const pid = await startedPid(child);
  let released = false;
  const held: HeldCommand = {
    pid,
    exited,
    async release() {
      released = true;
      startPipe.end('g');
      throwReport(options.command, await report);
    },
    kill: (signal) => void child.kill(signal),
    close() {
      if (!released) startPipe.destroy();
    },
  };
  await launcherRuns(pid, launcherPath, exited).catch((error: unknown) => {
    held.close();
    throw error;
  });
  return held;
}

function start(options: LaunchOptions, env: NodeJS.ProcessEnv, launcherPath: string): ChildProcess {
  const [file, args, launcherFd] = commandLine(options, launcherPath);
  try {
    return spawn(file, args, {
      cwd: options.cwd,
      env,
      stdio: [
        ...(options.stdio ?? ['inherit', 'inherit', 'inherit']),
        'pipe', 'pipe',
        ...(launcherFd === null ? [] : [launcherFd]),
      ],
    });
  } finally {
    if (launcherFd !== null) closeSync(launcherFd);
  }
}

/** Node's own `uid` option drops supplementary groups, setpriv sets those of the user. */
function commandLine(options: LaunchOptions, launcherPath: string): [string, string[], number | null] {
  const command = [options.command, ...options.args];
  const { user } = options;
  if (user === null || user.uid === process.getuid?.()) return [launcherPath, command, null];
  const setpriv = searchPath('setpriv', SYSTEM_PATH, '/');
  if (setpriv === null) {
    throw new AgentsightError('LAUNCH_FAILED', `could not start ${options.command} as ${user.name}: setpriv is not installed`, {
      hint: 'install util-linux',
    });
  }
  const change = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', '--'];
  return [setpriv, [...change, LAUNCHER_LINK, ...command], openSync(launcherPath, 'r')];
}

function commandEnvironment({ env = process.env, user }: LaunchOptions): NodeJS.ProcessEnv {
  if (user === null || user.uid === process.getuid?.()) return env;
  // It no longer runs under sudo: what sudo says about itself would mislead it.
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('SUDO_'));
  return { ...Object.fromEntries(kept), HOME: user.home, USER: user.name, LOGNAME: user.name };
}

export interface CommandPlace {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The file that execvp would run. Throws COMMAND_NOT_FOUND. */
export function resolveCommand(command: string, { cwd, env }: CommandPlace): string {
  const found = command.includes('/') ? existing(resolve(cwd, command)) : searchPath(command, env['PATH'] ?? DEFAULT_PATH, cwd);
  if (found !== null) return found;
  throw notFound(command);
}

function notFound(command: string): AgentsightError {
  const hint = command.includes('/')
    ? 'check the path'
    : 'check the name, or give the absolute path: under sudo, PATH may lack the folders of the user';
  return new AgentsightError('COMMAND_NOT_FOUND', `could not start ${command}: command not found`, { hint });
}

/** What is there but cannot be looked at is left to exec, whose error then says why. */
function existing(path: string): string | null {
  try {
    statSync(path);
    return path;
  } catch (error) {
    return errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR' ? null : path;
  }
}

function searchPath(command: string, path: string, cwd: string): string | null {
  for (const folder of path.split(delimiter)) {
    // An empty entry means the working directory.
    const candidate = join(resolve(cwd, folder), command);
    if (isExecutableFile(candidate)) return candidate;
  }
  return null;
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The pid, or why nothing was started. */
async function startedPid(child: ChildProcess): Promise<number> {
  if (child.pid !== undefined) return child.pid;
  const cause = await new Promise<unknown>((resolveError) => child.once('error', resolveError));
  throw new AgentsightError('LAUNCH_FAILED', `could not start the launcher: ${causeText(cause)}`, {
    cause,
    hint: 'build it with `npm run setup`',
  });
}

function exitOf(child: ChildProcess): Promise<LaunchExit> {
  return new Promise((resolveExit) => {
    child.once('error', () => resolveExit({ code: EXIT_LAUNCHER_FAILED, signal: null, exitCode: EXIT_LAUNCHER_FAILED }));
    child.once('exit', (code, signal) => {
      resolveExit({ code, signal, exitCode: signal === null ? code ?? 0 : 128 + systemConstants.signals[signal] });
    });
  });
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  try {
    for await (const chunk of stream) text += String(chunk);
  } catch {
    // The launcher died: its exit status tells.
  }
  return text;
}

/** The launcher closes its report pipe when the command begins, and says the error number when it cannot. */
function throwReport(command: string, text: string): void {
  if (text.trim() === '') return;
  const errno = Number(text.trim());
  const { ENOENT, ENOTDIR } = systemConstants.errno;
  if (errno === ENOENT || errno === ENOTDIR) throw notFound(command);
  const name = Object.entries(systemConstants.errno).find(([, value]) => value === errno)?.[0] ?? `error ${text.trim()}`;
  throw new AgentsightError('COMMAND_NOT_EXECUTABLE', `could not start ${command}: ${name}`, {
    hint: name === 'EACCES' ? `make it executable for the user: chmod +x ${command}` : undefined,
  });
}

/** setpriv becomes the launcher some milliseconds after it was started; tracing it before would show its exec. */
async function launcherRuns(pid: number, launcherPath: string, exited: Promise<LaunchExit>): Promise<void> {
  const launcher = statSync(launcherPath, { bigint: true });
  const deadline = performance.now() + LAUNCHER_WAIT_MS;
  let exit: LaunchExit | null = null;
  void exited.then((value) => (exit = value));
  for (;;) {
    if (runsFile(pid, launcher)) return;
    if (exit !== null || performance.now() > deadline) {
      throw new AgentsightError('LAUNCH_FAILED', 'could not start the launcher: it ended before it held', {
        hint: 'the message above, if any, is of setpriv, which changes to the user',
      });
    }
    await new Promise((wake) => setTimeout(wake, LAUNCHER_POLL_MS));
  }
}

function runsFile(pid: number, file: BigIntStats): boolean {
  try {
    const running = statSync(`/proc/${pid}/exe`, { bigint: true });
    return running.ino === file.ino && running.dev === file.dev;
  } catch {
    // It has ended: the caller looks at that.
    return false;
  }
}
