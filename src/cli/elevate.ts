/**
 * `trace -- CMD` without root: the command starts from the user's own process,
 * environment and all, and only the collector is raised through sudo. The
 * command is held until the collector says that it watches.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { launcherPath } from '../addon.ts';
import { AgentsightError } from '../errors.ts';
import { exitLine } from '../runners/adopt.ts';
import { holdCommand, type HeldCommand, type LaunchExit } from '../runners/launch.ts';
import { onEndingSignals, reachesCommandByItself } from './signals.ts';
import type { TraceOptions } from './trace-options.ts';

const CAP_SYS_ADMIN = 21n;
/** sudo's own failures. No collector ends with it before it watches: with a command, our own failures are 125. */
const SUDO_REFUSED = 1;
const EXIT_FAILED = 125;

/** Whether this process must ask sudo for a collector, and can. */
export function needsElevation({ command, held }: TraceOptions): boolean {
  if (command.length === 0 || held !== null || isPrivileged()) return false;
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, 'sudo')));
}

/** Runs the command here and the collector under sudo; returns the command's exit code, or the collector's when it failed to begin. */
export async function traceElevated(options: TraceOptions): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'agentsight-'));
  const socketPath = join(folder, 'held.sock');
  const [command = '', ...args] = options.command;
  // Events go where the collector's stdout goes; the command's must not run into them.
  const stdio = ['inherit', options.json ? 2 : 'inherit', 'inherit'] as const;
  const server = createServer();
  let held: HeldCommand | undefined;
  const release = onEndingSignals((signal) => held?.kill(signal), (signal) => !reachesCommandByItself(signal));
  try {
    held = await holdCommand({ command, args, user: null, stdio }, launcherPath());
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const collector = startCollector(held.pid, socketPath);
    return await together(held, collector, server);
  } finally {
    release();
    held?.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function together(held: HeldCommand, collector: ChildProcess, server: Server): Promise<number> {
  const collectorEnded = endOf(collector);
  const watched = new Promise<Socket>((resolve) => {
    server.once('connection', (socket) => socket.once('data', () => resolve(socket)));
  });
  const first = await Promise.race([watched, collectorEnded]);
  if (typeof first === 'number') {
    if (first === SUDO_REFUSED) throw refused();
    return first;
  }
  const exit = await begin(held, first);
  first.end(exitLine(exit));
  await collectorEnded;
  return exit.exitCode;
}

/** The exit code of sudo, which is the collector's or its own. */
function endOf(collector: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    collector.once('error', () => resolve(SUDO_REFUSED));
    collector.once('exit', (code) => resolve(code ?? EXIT_FAILED));
  });
}

function refused(): AgentsightError {
  return new AgentsightError('PRIVILEGE_MISSING', 'could not raise the collector: sudo did not run it', {
    hint: 'tracing needs root: ask for the right to run this program with sudo, or let root attach with --pid',
  });
}

/** A command that could not begin ends the collector, too, before its error is told. */
async function begin(held: HeldCommand, collector: Socket): Promise<LaunchExit> {
  try {
    await held.release();
  } catch (error) {
    collector.end(exitLine({ code: 127, signal: null, exitCode: 127 }));
    throw error;
  }
  return held.exited;
}

function startCollector(pid: number, socketPath: string): ChildProcess {
  const [script = '', ...argv] = process.argv.slice(1);
  const split = argv.indexOf('--');
  const ours = [...argv.slice(0, split), '--held', `${pid}:${socketPath}`, ...argv.slice(split)];
  // Absolute: root's PATH may hold another Node, or none.
  return spawn('sudo', ['--', process.execPath, script, ...ours], { stdio: 'inherit' });
}

function isPrivileged(): boolean {
  if (process.geteuid?.() === 0) return true;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
