/**
 * Collectors on the hub's Unix socket (src/link/protocol.ts). A batch goes to
 * the live stream and the store, and is acknowledged when the store has it on
 * disk. While the store is behind or down the socket is not read: the collector
 * keeps and spools, nothing piles up here.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { LIMITS } from '../limits.ts';
import type { Hello } from '../link/protocol.ts';
import { Counters } from '../stats.ts';
import type { CollectorInfo } from './api.ts';
import { CollectorConnection, COLLECTOR_COUNTERS, refuse, type CollectorConnectionOptions, type KnownCollector } from './collector-connection.ts';

/** A collector that ended stays in the list this long, so that its last counters can be read. */
const FORGET_MS = 3600_000;
/** One that lost its connection is back within this, and sends again what was not stored; later only another one does. */
const BACK_MS = 60_000;

export interface CollectorsOptions extends Omit<CollectorConnectionOptions, 'counters' | 'welcome'> {
  readonly onCollectors: (connected: number) => void;
}

export class Collectors {
  readonly #options: CollectorsOptions;
  readonly #server: Server;
  readonly #connections = new Set<CollectorConnection>();
  readonly #known = new Map<string, KnownCollector>();
  readonly #counters = new Counters(COLLECTOR_COUNTERS);

  constructor(options: CollectorsOptions) {
    this.#options = options;
    this.#server = createServer({ pauseOnConnect: false }, (socket) => this.#accept(socket));
  }

  get connected(): number {
    let count = 0;
    for (const known of this.#known.values()) if (known.connections > 0) count += 1;
    return count;
  }

  /** Whether some batch went to the live stream, and is not in the store yet. */
  get storing(): boolean {
    const recently = Date.now() - BACK_MS;
    for (const { shown, stored, connections, leftAt } of this.#known.values()) {
      if (shown > stored && (connections > 0 || leftAt > recently)) return true;
    }
    return false;
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  list(): readonly CollectorInfo[] {
    return Array.from(this.#known.values(), (known) => ({
      collector: known.hello.collector,
      host: known.hello.host,
      connected: known.connections > 0,
      command: known.hello.command,
      redaction: known.hello.redaction,
      stages: known.stages,
    }));
  }

  counters(): Readonly<Record<string, number>> {
    return this.#counters.snapshot();
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#connections.size >= LIMITS.hubCollectors) {
      this.#counters.add('refused_collectors');
      refuse(socket, 'HUB_UNREACHABLE', `could not take this collector: the hub has ${LIMITS.hubCollectors} already`);
      return;
    }
    const connection = new CollectorConnection(socket, {
      ...this.#options,
      counters: this.#counters,
      welcome: (hello) => this.#welcome(hello),
    });
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#connections.delete(connection);
      const known = connection.known;
      if (known === null) return;
      known.connections -= 1;
      known.leftAt = Date.now();
      this.#options.onCollectors(this.connected);
    });
  }

  #welcome(hello: Hello): KnownCollector {
    const longAgo = Date.now() - FORGET_MS;
    for (const [id, known] of this.#known) {
      const over = this.#known.size >= LIMITS.hubCollectors;
      if (known.connections === 0 && (over || known.leftAt < longAgo)) this.#known.delete(id);
    }
    const before = this.#known.get(hello.collector);
    const known: KnownCollector = {
      hello,
      connections: (before?.connections ?? 0) + 1,
      stages: before?.stages ?? [],
      shown: before?.shown ?? 0,
      stored: before?.stored ?? 0,
      leftAt: 0,
    };
    // The same object lives on where the collector came back before its old socket was noticed gone.
    const kept = before === undefined ? known : Object.assign(before, known);
    this.#known.set(hello.collector, kept);
    this.#options.onCollectors(this.connected);
    return kept;
  }

  /** Takes no more, lets the inserts that run end, closes. Safe twice. */
  async close(): Promise<void> {
    const closed = this.#server.listening
      ? new Promise<void>((resolve) => this.#server.close(() => resolve()))
      : Promise.resolve();
    await Promise.all(Array.from(this.#connections, (connection) => connection.close()));
    await closed;
  }
}
