/**
 * One collector's socket: decodes its messages in order, stores up to two
 * batches at once, acknowledges in order.
 */
import type { Socket } from 'node:net';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { AgentsightError, causeText } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { createFrameDecoder, decodeFrame, encodeMessage, type Message } from '../link/codec.ts';
import { PROTOCOL_VERSION, type Hello, type Stats } from '../link/protocol.ts';
import type { Counters } from '../stats.ts';
import type { Store } from './store/store.ts';

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5000;
const HELLO_MS = 10_000;
const DRAIN_MS = 3000;

export const COLLECTOR_COUNTERS = ['batches', 'refused_collectors', 'insert_retries'] as const;
export type CollectorCounters = Counters<(typeof COLLECTOR_COUNTERS)[number]>;

/** What the hub knows of a collector, over all its connections. */
export interface KnownCollector {
  readonly hello: Hello;
  connections: number;
  stages: Stats['stages'];
  /** Last sequence given to the live stream: a batch that is sent again is not shown again. */
  shown: number;
  /** Last sequence up to which the store has everything. */
  stored: number;
  leftAt: number;
}

export interface CollectorConnectionOptions {
  readonly store: Pick<Store, 'insertBatch'>;
  readonly publish: (lines: Buffer) => void;
  readonly version: string;
  readonly hub: string;
  /** Page address with its token, for the collector to print. */
  readonly url: () => string;
  readonly counters: CollectorCounters;
  readonly welcome: (hello: Hello) => KnownCollector;
  readonly log: (text: string) => void;
}

export class CollectorConnection {
  known: KnownCollector | null = null;
  readonly #socket: Socket;
  readonly #options: CollectorConnectionOptions;
  readonly #counters: CollectorCounters;
  readonly #queue: Message[] = [];
  #closing = false;
  #inFlight = 0;
  /** Resolves when every batch so far has been stored and acknowledged. */
  #acknowledged: Promise<void> = Promise.resolve();
  readonly #helloTimer: NodeJS.Timeout;

  constructor(socket: Socket, options: CollectorConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#counters = options.counters;
    const decoder = createFrameDecoder();
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) this.#queue.push(decodeFrame(frame));
        this.#work();
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#helloTimer = setTimeout(() => {
      if (this.known === null) socket.destroy();
    }, HELLO_MS);
    this.#helloTimer.unref();
    socket.once('close', () => clearTimeout(this.#helloTimer));
  }

  /** Takes no more; gives the batches that are being stored a moment to be acknowledged. Safe twice. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#socket.pause();
    const timer = new AbortController();
    await Promise.race([
      this.#acknowledged.catch(() => undefined),
      setTimeoutAsync(DRAIN_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    this.#socket.destroySoon();
  }

  #work(): void {
    if (this.#closing) return;
    while (this.#inFlight < LIMITS.hubInsertsInFlight && !this.#socket.destroyed) {
      const message = this.#queue.shift();
      if (message === undefined) break;
      this.#handle(message);
    }
    if (this.#queue.length > 0) this.#socket.pause();
    else this.#socket.resume();
  }

  #handle(message: Message): void {
    if (message.kind === 'hello') {
      this.#greet(message.hello);
      return;
    }
    if (this.known === null) throw new AgentsightError('LINK_PROTOCOL', 'could not read from a collector: it did not say hello first');
    switch (message.kind) {
      case 'batch': {
        this.#store(this.known, message.sequence, message.jsonl);
        return;
      }
      case 'stats': {
        this.known.stages = message.stats.stages;
        return;
      }
      case 'bye': {
        this.#acknowledged.then(() => this.#socket.end(), () => undefined);
        return;
      }
      default:
        // Frames of a newer minor version, and those that only a hub sends, mean nothing here.
    }
  }

  #greet(hello: Hello): void {
    const { version, hub, url } = this.#options;
    if (hello.protocol !== PROTOCOL_VERSION) {
      this.#counters.add('refused_collectors');
      refuse(this.#socket, 'HUB_VERSION',
        `could not take this collector: it speaks protocol ${hello.protocol} (agentsight-ts ${hello.version}), this hub ${PROTOCOL_VERSION} (${version})`);
      return;
    }
    if (this.known !== null) throw new AgentsightError('LINK_PROTOCOL', 'could not read from a collector: it said hello twice');
    this.known = this.#options.welcome(hello);
    this.#socket.write(encodeMessage({ kind: 'welcome', welcome: { protocol: PROTOCOL_VERSION, version, hub, url: url() } }));
  }

  #store(known: KnownCollector, sequence: number, lines: Buffer): void {
    if (sequence > known.shown) {
      known.shown = sequence;
      this.#options.publish(lines);
    }
    this.#counters.add('batches');
    this.#inFlight += 1;
    const stored = this.#insertUntilStored(`${known.hello.collector}:${sequence}`, lines).finally(() => {
      this.#inFlight -= 1;
    });
    // An acknowledgement covers everything before it, so it waits for that too.
    this.#acknowledged = Promise.all([this.#acknowledged, stored]).then(() => {
      known.stored = Math.max(known.stored, sequence);
      if (!this.#socket.destroyed) this.#socket.write(encodeMessage({ kind: 'ack', ack: { sequence } }));
    });
    this.#acknowledged.catch(() => undefined);
    stored.then(
      () => this.#resume(),
      (error: unknown) => this.#fail(error),
    );
  }

  #resume(): void {
    try {
      this.#work();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The token makes a second try harmless; it goes on as long as the collector waits. */
  async #insertUntilStored(token: string, lines: Buffer): Promise<void> {
    let waitMs = RETRY_FIRST_MS;
    let said = false;
    while (!this.#socket.destroyed) {
      try {
        const result = await this.#options.store.insertBatch(token, lines);
        if (result.refused > 0) this.#options.log(`the store refused ${result.refused} lines of batch ${token}`);
        return;
      } catch (error) {
        if (!said) this.#options.log(`${causeText(error)}; trying again`);
        said = true;
        this.#counters.add('insert_retries');
        await setTimeoutAsync(waitMs);
        waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
      }
    }
    throw new AgentsightError('HUB_UNREACHABLE', 'could not store a batch: its collector has gone');
  }

  #fail(error: unknown): void {
    if (this.#socket.destroyed) return;
    this.#options.log(causeText(error));
    this.#socket.destroy();
  }
}

export function refuse(socket: Socket, code: string, message: string): void {
  socket.end(encodeMessage({ kind: 'refused', refused: { code, message } }));
}
