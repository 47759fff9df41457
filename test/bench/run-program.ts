/** Starts programs for benches and reads the reports that they write. */
import { spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../helpers/files.ts';

const DEADLINE_MS = 120_000;

export interface ProgramReport {
  readonly count: number;
  readonly wallNs: number;
  readonly cpuNs: number;
}

export function readReport(path: string): ProgramReport {
  return JSON.parse(readFileSync(path, 'utf8')) as ProgramReport;
}

/** Runs to the end; anything but exit code 0 is an error. */
export async function runProgram(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { stderr = (stderr + text).slice(-4000); });
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${signal ?? code}:\n${stderr}`);
}

export interface CollectorUsage {
  /** User and system time of all threads of the collector, in microseconds. */
  readonly cpuUs: number;
  readonly peakRssBytes: number;
}

/** `agentsight-ts trace ARGS` with the usage of the collector process measured from inside. */
export function runTrace(args: readonly string[], directory: string): Promise<CollectorUsage> {
  return runNode([join(ROOT, 'bin/agentsight-ts.mjs'), 'trace', ...args], directory);
}

/** What Node itself uses, measured in the same way. */
export function runBareNode(directory: string): Promise<CollectorUsage> {
  return runNode(['-e', '0'], directory);
}

async function runNode(args: readonly string[], directory: string): Promise<CollectorUsage> {
  const usagePath = join(directory, 'usage.json');
  await runProgram(process.execPath, ['--import', join(ROOT, 'test/bench/usage.mjs'), ...args], { env: { ...process.env, BENCH_USAGE: usagePath } });
  const { cpu, peakRssKiB } = JSON.parse(readFileSync(usagePath, 'utf8')) as {
    cpu: NodeJS.CpuUsage;
    peakRssKiB: number;
  };
  return { cpuUs: cpu.user + cpu.system, peakRssBytes: peakRssKiB * 1024 };
}
