/** Runs a live capture in a test, and puts its chunks together again. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { launcherPath, loadAddon } from '../../src/addon.ts';
import type { Event, ProcessEvent, StdioEvent, TlsEvent } from '../../src/event.ts';
import { createIdentity } from '../../src/identity.ts';
import { createCaptureRunner, type CaptureReady, type CaptureRunner, type CaptureRunnerOptions } from '../../src/runners/capture.ts';
import type { LaunchOptions } from '../../src/runners/launch.ts';

export interface RunningCapture {
  readonly runner: CaptureRunner;
  /** Grows while the capture runs. */
  readonly events: Event[];
  readonly ready: Promise<CaptureReady | null>;
  /** Settles when the run has ended, with its error where it failed. */
  readonly done: Promise<void>;
}

export type CaptureTestOptions = Partial<Omit<CaptureRunnerOptions, 'launcherPath' | 'identity'>>;

export function startCapture(options: CaptureTestOptions): RunningCapture {
  const runner = createCaptureRunner({
    addon: loadAddon(),
    launcherPath: launcherPath(),
    identity: createIdentity(),
    families: ['process', 'tls', 'stdio'],
    ...options,
  });
  const events: Event[] = [];
  const done = new Promise<void>((resolve, reject) => {
    runner.batches.subscribe({ next: (batch) => events.push(...batch), error: reject, complete: resolve });
  });
  done.catch(() => undefined);
  return { runner, events, ready: runner.ready, done };
}

export function command(program: string, args: readonly string[], more: Partial<LaunchOptions> = {}): LaunchOptions {
  return { command: program, args, user: null, stdio: ['ignore', 'ignore', 'ignore'], ...more };
}

/** Captures a command from its start to its end. */
export async function captureCommand(launch: LaunchOptions, options: CaptureTestOptions = {}): Promise<RunningCapture> {
  const running = startCapture({ launch, ...options });
  await running.done;
  return running;
}

export function processEvents(events: readonly Event[]): ProcessEvent[] {
  return events.filter((event) => event.source === 'process');
}

export function tlsEvents(events: readonly Event[]): TlsEvent[] {
  return events.filter((event) => event.source === 'tls');
}

export function stdioEvents(events: readonly Event[]): StdioEvent[] {
  return events.filter((event) => event.source === 'stdio');
}

export interface Conversation {
  readonly comm: string;
  readonly read: Buffer;
  readonly written: Buffer;
}

/** Each TLS connection's bytes by position; throws where one is missing or comes twice. */
export function conversations(events: readonly Event[]): Conversation[] {
  const byConnection = new Map<string, { comm: string; read: Buffer[]; write: Buffer[]; readAt: number; writeAt: number }>();
  for (const { comm, data } of tlsEvents(events)) {
    if (data.event !== 'DATA') continue;
    const state = byConnection.get(data.connection) ?? { comm, read: [], write: [], readAt: 0, writeAt: 0 };
    byConnection.set(data.connection, state);
    const expected = data.direction === 'read' ? state.readAt : state.writeAt;
    if (data.position !== expected) {
      throw new Error(`${data.connection} ${data.direction}: position ${data.position}, expected ${expected}`);
    }
    if (data.direction === 'read') state.readAt += data.len;
    else state.writeAt += data.len;
    state[data.direction].push(Buffer.from(data.payload));
  }
  return [...byConnection.values()].map(({ comm, read, write }) => ({ comm, read: Buffer.concat(read), written: Buffer.concat(write) }));
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
