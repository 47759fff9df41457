/** A collector that is nothing but its link: sends batches to a hub and counts what the hub acknowledged. */
import { connect, type Socket } from 'node:net';
import { createFrameDecoder, decodeFrame, encodeMessage } from '../../src/link/codec.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';

export interface LinkClient {
  /** Sends it as the next in sequence, whose number is returned, once the socket takes it. */
  send(jsonl: Buffer): Promise<number>;
  /** Resolves when the hub has stored everything up to `sequence`. */
  acknowledged(sequence: number): Promise<void>;
  close(): void;
}

interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** `collector` is `<host>.<boot>.<collector>`. Resolves when the hub has welcomed it. */
export async function openLinkClient(socketPath: string, collector: string): Promise<LinkClient> {
  const [host = 'host', boot = 'boot'] = collector.split('.');
  const socket = connect(socketPath);
  const decoder = createFrameDecoder();
  let waiters: Waiter[] = [];
  let lastAck = -1;
  let lastSent = 0;
  let failure: Error | undefined;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const waiter of waiters) waiter.reject(failure);
    waiters = [];
  };
  const advance = (sequence: number): void => {
    lastAck = Math.max(lastAck, sequence);
    for (const waiter of waiters) if (waiter.sequence <= lastAck) waiter.resolve();
    waiters = waiters.filter((waiter) => waiter.sequence > lastAck);
  };
  const acknowledged = (sequence: number): Promise<void> => new Promise((resolve, reject) => {
    if (failure !== undefined) reject(failure);
    else if (sequence <= lastAck) resolve();
    else waiters.push({ sequence, resolve, reject });
  });
  socket.on('error', fail).on('close', () => fail(new Error('the hub closed the link')));
  socket.on('data', (chunk) => {
    for (const frame of decoder.push(chunk)) {
      const message = decodeFrame(frame);
      if (message.kind === 'welcome') advance(0);
      if (message.kind === 'ack') advance(message.ack.sequence);
      if (message.kind === 'refused') fail(new Error(`refused: ${message.refused.message}`));
    }
  });
  socket.write(encodeMessage({ kind: 'hello', hello: {
    protocol: PROTOCOL_VERSION, version: 'test', collector, host, boot, pid: process.pid, command: ['test'], redaction: true,
  } }));
  await acknowledged(0);
  return {
    async send(jsonl) {
      lastSent += 1;
      const sequence = lastSent;
      if (!socket.write(encodeMessage({ kind: 'batch', sequence, jsonl }))) await drained(socket);
      return sequence;
    },
    acknowledged,
    close() {
      socket.destroy();
    },
  };
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off('drain', settle).off('close', settle);
      if (socket.destroyed) reject(new Error('the hub closed the link'));
      else resolve();
    };
    socket.on('drain', settle).on('close', settle);
  });
}
