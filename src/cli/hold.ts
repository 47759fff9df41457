/**
 * Keeps a hub up for as long as this process runs: `serve`, and `--serve` of a
 * run that has ended. The hub is a process of its own, without privileges, that
 * leaves when nobody needs it; the connection of a collector that sends nothing
 * is the need. A hub that was killed is started again, one that was ended by
 * `serve --stop` ends the hold.
 */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { stopHub } from '../hub/stop.ts';
import { superviseHub } from '../hub/supervise.ts';
import { createIdentity } from '../identity.ts';
import { encodeMessage } from '../link/codec.ts';
import { PROTOCOL_VERSION } from '../link/protocol.ts';
import { dataPaths } from '../paths.ts';
import { VERSION } from '../version.ts';
import { onEndingSignals } from './signals.ts';
import type { OutputOptions } from './trace-options.ts';

export type HubChoice = Pick<OutputOptions, 'user' | 'dataDir' | 'port' | 'store'>;

export interface HeldHub {
  readonly url: string;
  /** False: it ran before, and will be left running. */
  readonly started: boolean;
  /** Resolves with the first Ctrl-C, SIGTERM or SIGHUP since `holdHub`, or when the hub was ended by somebody else. */
  readonly over: Promise<void>;
  isOver(): boolean;
  /** Lets go; ends the hub where we started it. Safe twice. */
  close(): Promise<void>;
}

/** How often a hub that was ended on purpose is looked for. It also keeps this process alive. */
const WATCH_MS = 500;

export async function holdHub({ user, dataDir, port, store }: HubChoice): Promise<HeldHub> {
  const say = (text: string): void => void process.stderr.write(`agentsight-ts: ${text}\n`);
  const identity = createIdentity();
  let socket: Socket | undefined;
  const hub = await superviseHub({
    user, dataDir, port,
    store: store ?? undefined,
    onNotice: say,
    onRestart: ({ url, socketPath }) => {
      say(`the hub was started again: ${url}`);
      socket = greet(socketPath, identity);
    },
  });
  const { started } = hub.current;
  socket = greet(hub.current.socketPath, identity);

  let over = false;
  let settle: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const end = (): void => {
    over = true;
    settle();
  };
  // Stays until the hub has ended, so that a signal that comes twice does not leave it behind.
  const release = onEndingSignals(end);
  const watch = setInterval(() => {
    if (socket?.closed === true && !existsSync(dataPaths(dataDir).hubFile)) end();
  }, WATCH_MS);

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    clearInterval(watch);
    hub.close();
    socket?.destroy();
    if (started) await stopHub(dataDir, user);
    release();
  };
  return {
    get url() {
      return hub.current.url;
    },
    started,
    over: done,
    isOver: () => over,
    close: () => (closing ??= close()),
  };
}

/** Says hello and then nothing: to the hub, somebody is there. */
function greet(socketPath: string, { prefix, boot }: ReturnType<typeof createIdentity>): Socket {
  const socket = connect(socketPath);
  // What ends the connection shows as `closed`; why is in the hub's log.
  socket.on('error', () => socket.destroy());
  socket.resume();
  socket.write(encodeMessage({
    kind: 'hello',
    hello: {
      protocol: PROTOCOL_VERSION,
      version: VERSION,
      collector: prefix,
      host: hostname(),
      boot,
      pid: process.pid,
      command: ['agentsight-ts', 'serve'],
      redaction: true,
    },
  }));
  return socket;
}
