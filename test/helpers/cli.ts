/** Runs the built command as a user would: a process of its own, its output and its exit code. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { CLI, ROOT } from './files.ts';
import { waitFor } from './wait.ts';

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The run is killed, and the test fails, after this long. */
  readonly deadlineMs?: number;
  /** Words before the command, such as `setpriv --reuid nobody`. */
  readonly prefix?: readonly string[];
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when the text has appeared on stderr. */
  said(text: string | RegExp): Promise<void>;
  readonly result: Promise<CliResult>;
  /** SIGINT, then the result. */
  interrupt(): Promise<CliResult>;
}

const DEFAULT_DEADLINE_MS = 180_000;

/** Runs to the end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).result;
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return startScript(CLI, args, options);
}

/** Any script of the checkout, watched in the same way. */
export function startScript(script: string, args: readonly string[], options: CliOptions = {}): RunningCli {
  const [command, ...rest] = [...(options.prefix ?? []), process.execPath, script, ...args];
  if (command === undefined) throw new Error('no command');
  const child = spawn(command, rest, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const result = waitForEnd(child, options.deadlineMs ?? DEFAULT_DEADLINE_MS, () => ({ stdout, stderr }));
  // A test that fails before it asks for the result must not end as an unhandled rejection too.
  result.catch(() => {});
  return {
    child,
    pid: child.pid ?? 0,
    stdout: () => stdout,
    stderr: () => stderr,
    async said(text) {
      const matches = () => (typeof text === 'string' ? stderr.includes(text) : text.test(stderr));
      await waitFor(`${String(text)} on stderr`, () => {
        if (matches()) return true;
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before it said ${String(text)}:\n${stderr}`);
        return false;
      });
    },
    result,
    interrupt() {
      child.kill('SIGINT');
      return result;
    },
  };
}

async function waitForEnd(
  child: ChildProcess,
  deadlineMs: number,
  output: () => { stdout: string; stderr: string },
): Promise<CliResult> {
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const started = Date.now();
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  if (signal === 'SIGKILL' && Date.now() - started >= deadlineMs) {
    throw new Error(`still ran after ${deadlineMs} ms; stderr:\n${output().stderr}`);
  }
  return { code, signal, ...output() };
}

/** An event of a JSONL file, as a test reads it. */
export interface FileEvent {
  readonly timestamp: number;
  readonly source: string;
  readonly pid: number;
  readonly comm: string;
  readonly id: string;
  readonly process: string | null;
  readonly session: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Every line must parse: half a line is a failure. */
export function readEvents(path: string): FileEvent[] {
  if (!existsSync(path)) return [];
  return parseEvents(readFileSync(path, 'utf8'));
}

export function parseEvents(text: string): FileEvent[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as FileEvent);
}

export function ofSource(events: readonly FileEvent[], source: string): FileEvent[] {
  return events.filter((event) => event.source === source);
}
