/**
 * Keeps a hub up for as long as this process runs: `serve`, and `trace --serve`
 * after its command has ended. The hub is a process of its own, without
 * privileges, that leaves when nobody needs it; an open connection of a
 * collector that sends nothing is the need. A hub that dies is started again.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { causeText } from '../errors.ts';
import { ensureHub } from '../hub/spawn.ts';
import { stopHub } from '../hub/stop.ts';
import type { RunningHub } from '../hub/spawn.ts';
import { encodeMessage } from '../link/codec.ts';
import { PROTOCOL_VERSION } from '../link/protocol.ts';
import { readBootId } from '../time.ts';
import { VERSION } from '../version.ts';
import type { OutputOptions } from './trace-options.ts';

export type HubChoice = Pick<OutputOptions, 'user' | 'dataDir' | 'port' | 'store'>;

export interface HeldHub {
  readonly url: string;
  /** False: it ran before, and will be left running. */
  readonly started: boolean;
  /** Resolves with the first Ctrl-C, SIGTERM or SIGHUP since `holdHub`. */
  readonly interrupted: Promise<void>;
  wasInterrupted(): boolean;
  /** Lets go; ends the hub where we started it. Safe twice. */
  close(): Promise<void>;
}

/** How long to wait before a hub that died is started again: long enough not to spin when it cannot live. */
const RESTART_MS = 1000;

export async function holdHub(choice: HubChoice): Promise<HeldHub> {
  let hub = await ensure(choice);
  const { started } = hub;
  const closing = new AbortController();
  let socket = open(hub);
  const watch = watchSignals();

  async function keep(): Promise<void> {
    while (!closing.signal.aborted) {
      await closed(socket);
      if (closing.signal.aborted) return;
      await sleep(RESTART_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      if (closing.signal.aborted) return;
      try {
        const before = hub.url;
        hub = await ensure(choice);
        if (hub.url !== before) say(`the hub was started again: ${hub.url}`);
        socket = open(hub);
      } catch (error) {
        say(`could not start the hub again: ${causeText(error)}`);
      }
    }
  }
  const kept = keep();

  let ended: Promise<void> | undefined;
  return {
    get url() {
      return hub.url;
    },
    started,
    interrupted: watch.interrupted,
    wasInterrupted: watch.wasInterrupted,
    close() {
      ended ??= end();
      return ended;
    },
  };

  async function end(): Promise<void> {
    closing.abort();
    watch.stop();
    socket.destroy();
    await kept;
    if (started) await stopHub(choice.dataDir, choice.user);
  }
}

function ensure({ user, dataDir, port, store }: HubChoice): Promise<RunningHub> {
  return ensureHub({ user, dataDir, port, store: store ?? undefined, onNotice: say });
}

/** Says hello and then nothing: to the hub, somebody is there. */
function open({ socketPath }: RunningHub): Socket {
  const socket = connect(socketPath);
  // What ends the socket is told by `close`; why is in the hub's log.
  socket.on('error', () => socket.destroy());
  socket.resume();
  const boot = readBootId();
  socket.write(encodeMessage({
    kind: 'hello',
    hello: {
      protocol: PROTOCOL_VERSION,
      version: VERSION,
      collector: `hold.${boot.slice(0, 8)}.${randomBytes(4).toString('hex')}`,
      host: hostname(),
      boot,
      pid: process.pid,
      command: ['agentsight-ts', 'serve'],
      redaction: true,
    },
  }));
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));
}

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Only listens: what a signal means while a trace runs is the trace's business. */
function watchSignals() {
  let seen = false;
  let resolve: () => void = () => undefined;
  const interrupted = new Promise<void>((settle) => {
    resolve = settle;
  });
  const note = (): void => {
    seen = true;
    resolve();
  };
  for (const signal of ENDING) process.on(signal, note);
  return {
    interrupted,
    wasInterrupted: () => seen,
    stop: () => {
      for (const signal of ENDING) process.off(signal, note);
    },
  };
}

function say(text: string): void {
  process.stderr.write(`agentsight-ts: ${text}\n`);
}
