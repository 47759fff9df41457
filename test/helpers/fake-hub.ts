/**
 * A hub for tests of the link: a real socket that speaks the real frames, with
 * a store that drops what it has by token, and every misbehaviour on demand.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createFrameDecoder, decodeFrame, encodeMessage } from '../../src/link/codec.ts';
import type { Hello, Stats } from '../../src/link/protocol.ts';

export interface FakeHub {
  /** Token to lines, in order of first storing. */
  readonly stored: Map<string, string>;
  /** Every batch that came, with repeats. */
  readonly received: string[];
  readonly hellos: Hello[];
  readonly stats: Stats['stages'][];
  byes: number;
  /** Batches are received and stored, but not acknowledged while false. */
  acking: boolean;
  /** Nothing is read while true. */
  stuck: boolean;
  listen(): Promise<void>;
  /** Like SIGKILL: sockets cut, nothing said. */
  kill(): Promise<void>;
  /** To every connected collector. */
  say(bytes: Buffer): void;
}

export interface FakeHubOptions {
  readonly path: string;
  readonly refuse?: { readonly code: string; readonly message: string };
}

export function fakeHub({ path, refuse }: FakeHubOptions): FakeHub {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const hub: FakeHub = {
    stored: new Map(), received: [], hellos: [], stats: [], byes: 0, acking: true, stuck: false,
    listen: () =>
      new Promise((resolve) => {
        server = createServer((socket) => {
          sockets.add(socket);
          socket.on('close', () => sockets.delete(socket));
          socket.on('error', () => {});
          serve(hub, socket, refuse);
        }).listen(path, resolve);
      }),
    kill: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        if (server === undefined) resolve();
        else server.close(() => resolve());
        server = undefined;
      }),
    say(bytes) {
      for (const socket of sockets) socket.write(bytes);
    },
  };
  return hub;
}

function serve(hub: FakeHub, socket: Socket, refuse: FakeHubOptions['refuse']): void {
  const decoder = createFrameDecoder();
  let collector = '';
  if (hub.stuck) socket.pause();
  socket.on('data', (chunk: Buffer) => {
    for (const frame of decoder.push(chunk)) {
      const message = decodeFrame(frame);
      if (message.kind === 'hello') {
        hub.hellos.push(message.hello);
        collector = message.hello.collector;
        if (refuse !== undefined) socket.end(encodeMessage({ kind: 'refused', refused: refuse }));
        else socket.write(encodeMessage({ kind: 'welcome', welcome: { protocol: 1, version: '0', hub: 'fake', url: 'http://127.0.0.1/' } }));
      } else if (message.kind === 'batch') {
        const token = `${collector}:${message.sequence}`;
        hub.received.push(token);
        if (!hub.stored.has(token)) hub.stored.set(token, message.jsonl.toString());
        if (hub.acking) socket.write(encodeMessage({ kind: 'ack', ack: { sequence: message.sequence } }));
      } else if (message.kind === 'stats') {
        hub.stats.push(message.stats.stages);
      } else if (message.kind === 'bye') {
        hub.byes += 1;
      }
    }
  });
}
