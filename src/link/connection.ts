/**
 * One connection to a hub: hello, welcome, then frames both ways. Ends once,
 * with the reason. Whoever uses it decides what to send again on the next one.
 */
import { connect, type Socket } from 'node:net';
import { AgentsightError, causeText, errnoOf } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { batchHeader, createFrameDecoder, decodeFrame, encodeMessage, type Message } from './codec.ts';
import type { Hello, Refused, Stats, Welcome } from './protocol.ts';

export interface ConnectionEvents {
  onWelcome(welcome: Welcome): void;
  /** Everything up to `sequence` is in the store. */
  onAck(sequence: number): void;
  /** The socket takes bytes again. */
  onDrain(): void;
  /** The last call. `refused` when the hub said why it will not have us. */
  onEnd(reason: AgentsightError, refused: Refused | null): void;
}

export interface Connection {
  /** False when the socket holds enough: wait for onDrain. */
  sendBatch(sequence: number, parts: readonly Buffer[]): boolean;
  sendStats(stages: Stats['stages']): void;
  /** Says bye and closes when all is written. */
  end(): Promise<void>;
  /** At once, without a word. onEnd is not called any more. */
  destroy(): void;
}

export interface ConnectionOptions {
  readonly socketPath: string;
  readonly hello: Hello;
  readonly welcomeMs?: number;
}

export function openConnection(options: ConnectionOptions, events: ConnectionEvents): Connection {
  const { socketPath } = options;
  const socket = connect(socketPath);
  const decoder = createFrameDecoder();
  let ended = false;
  let refused: Refused | null = null;

  const finish = (cause: unknown): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    socket.destroy();
    events.onEnd(reasonOf(socketPath, cause), refused);
  };
  const timer = setTimeout(
    () => finish(new Error('it took the connection and said nothing')),
    options.welcomeMs ?? LIMITS.linkWelcomeMs,
  );
  timer.unref();

  const receive = (message: Message): void => {
    if (message.kind === 'welcome') {
      clearTimeout(timer);
      events.onWelcome(message.welcome);
    } else if (message.kind === 'ack') {
      events.onAck(message.ack.sequence);
    } else if (message.kind === 'refused') {
      refused = message.refused;
      finish(new Error(message.refused.message));
    }
    // Anything else is not for us: a newer hub may say more.
  };

  socket.on('connect', () => socket.write(encodeMessage({ kind: 'hello', hello: options.hello })));
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) {
        if (!ended) receive(decodeFrame(frame));
      }
    } catch (cause) {
      finish(cause);
    }
  });
  socket.on('drain', () => events.onDrain());
  socket.on('error', finish);
  socket.on('close', () => finish(new Error('it closed the connection')));

  return {
    sendBatch: (sequence, parts) => sendBatch(socket, sequence, parts),
    sendStats: (stages) => void socket.write(encodeMessage({ kind: 'stats', stats: { stages } })),
    end: () => sayBye(socket, () => (ended = true)),
    destroy() {
      ended = true;
      clearTimeout(timer);
      socket.destroy();
    },
  };
}

function sendBatch(socket: Socket, sequence: number, parts: readonly Buffer[]): boolean {
  // Writes that leave in one system call: the events are not copied.
  socket.cork();
  socket.write(batchHeader(sequence, parts.reduce((sum, part) => sum + part.length, 0)));
  for (const part of parts) socket.write(part);
  socket.uncork();
  return socket.writableLength < LIMITS.linkSocketBytes;
}

function sayBye(socket: Socket, before: () => void): Promise<void> {
  before();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), LIMITS.linkCloseUnreachableMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.destroyed) {
      clearTimeout(timer);
      resolve();
    } else {
      socket.end(encodeMessage({ kind: 'bye' }));
      // The hub may keep its side open; our part is done when it has all.
      socket.once('finish', () => socket.destroy());
    }
  });
}

function reasonOf(socketPath: string, cause: unknown): AgentsightError {
  if (cause instanceof AgentsightError) return cause;
  const errno = errnoOf(cause);
  const gone = errno === 'ENOENT' || errno === 'ECONNREFUSED';
  const why = gone ? 'no hub is listening there' : errno === 'EACCES' ? 'permission denied' : causeText(cause);
  return new AgentsightError('HUB_UNREACHABLE', `could not reach the hub at ${socketPath}: ${why}`, {
    cause,
    hint: gone ? 'start one with `agentsight-ts serve`' : undefined,
  });
}
