/**
 * A held command that somebody else started: the user's own process, which
 * raised only the collector through sudo. The two meet at a Unix socket:
 * "ready" from the collector lets the command begin, "exited CODE" or
 * "exited SIGNAL" tells how it ended.
 */
import { connect, type Socket } from 'node:net';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { AgentsightError, causeText } from '../errors.ts';
import type { HeldCommand, HeldElsewhere, LaunchExit } from './launch.ts';

/** Rejects with LAUNCH_FAILED when nobody listens. */
export async function adoptCommand({ pid, socketPath }: HeldElsewhere): Promise<HeldCommand> {
  const socket = await connected(socketPath);
  return {
    pid,
    exited: exitTold(socket),
    release: () => new Promise((resolve, reject) => socket.write('ready\n', (error) => (error ? reject(error) : resolve()))),
    kill: (signal) => kill(pid, signal),
    close: () => void socket.destroy(),
  };
}

/** The line that tells the collector how the command ended. */
export function exitLine({ code, signal }: LaunchExit): string {
  return `exited ${signal ?? code ?? 0}\n`;
}

function connected(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => resolve(socket));
    socket.on('error', (cause) => {
      reject(new AgentsightError('LAUNCH_FAILED', `could not reach the process that holds the command: ${causeText(cause)}`, { cause }));
    });
  });
}

/** Whoever held the command and went away without a word has taken it along. */
function exitTold(socket: Socket): Promise<LaunchExit> {
  return new Promise((resolve) => {
    createInterface({ input: socket }).on('line', (line) => {
      const [word, how = ''] = line.split(' ');
      if (word === 'exited') resolve(exitOf(how));
    });
    socket.on('close', () => resolve(exitOf('SIGKILL')));
  });
}

function exitOf(how: string): LaunchExit {
  const code = Number(how);
  if (Number.isInteger(code)) return { code, signal: null, exitCode: code };
  const signal = how as NodeJS.Signals;
  return { code: null, signal, exitCode: 128 + (constants.signals[signal] ?? 0) };
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself meanwhile.
  }
}
