/** The hub in the foreground: `serve`. Never with root's powers. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentsightError } from '../errors.ts';
import type { User } from '../user.ts';
import { compiledEntry } from './entries.ts';
import { readHubFile } from './hub-file.ts';
import { runHub } from './main.ts';
import { asUser, findHub, hubEnvironment, type RunningHub } from './spawn.ts';

export interface ServeOptions {
  readonly user: User;
  readonly dataDir: string;
  readonly port: number;
  readonly store?: string | undefined;
  readonly log: (text: string) => void;
  /** The page can be opened now. `started` is false when a hub ran already, and serve ends at once. */
  readonly onReady: (hub: RunningHub) => void;
}

const POLL_MS = 50;

/** Serves until a signal; resolves to the exit code. Throws what runHub throws, and HUB_VERSION. */
export async function serveHub(options: ServeOptions): Promise<number> {
  const running = await findHub(options.dataDir, options.user);
  if (running !== null) {
    options.onReady(running);
    return 0;
  }
  return process.getuid?.() === 0 ? serveAsUser(options) : serveHere(options);
}

async function serveHere({ dataDir, port, store, log, onReady }: ServeOptions): Promise<number> {
  const hub = await runHub({ dataDir, port, store, log });
  const end = (): void => void hub.close();
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  onReady({ url: hub.url, port: hub.port, socketPath: hub.socketPath, pid: process.pid, started: true });
  await hub.closed;
  for (const signal of signals) process.off(signal, end);
  return 0;
}

/** As root the hub is a process of its own that has given up root's powers; we wait for it. */
async function serveAsUser({ user, dataDir, port, store, onReady }: ServeOptions): Promise<number> {
  const [command, ...args] = [...asUser(user), process.execPath, compiledEntry('src/hub/child')];
  const child = spawn(command ?? '', args, { stdio: ['ignore', 'inherit', 'inherit'], env: hubEnvironment(user, { dataDir, port, store }) });
  // A terminal's Ctrl-C reaches the child as well, which then drains; a signal to us alone is passed on.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, pass);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(new AgentsightError('HUB_UNREACHABLE', `could not start the hub: ${cause.message}`, { cause, hint: 'install util-linux, which has setpriv' }));
      });
      child.once('exit', (code) => resolve(code ?? 1));
      void announce();
    });
  } finally {
    for (const signal of signals) process.off(signal, pass);
  }

  async function announce(): Promise<void> {
    while (child.exitCode === null && child.signalCode === null) {
      const file = readHubFile(dataDir, user.uid);
      if (file !== null && file.pid === child.pid) {
        onReady({ url: file.url, port: file.port, socketPath: file.socket, pid: file.pid, started: true });
        return;
      }
      await sleep(POLL_MS);
    }
  }
}
