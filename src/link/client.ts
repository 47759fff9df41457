/**
 * The sink that is a hub. Batches are numbered, kept in memory until the hub
 * has stored them, and sent again on every new connection; beyond a limit they
 * wait in the spool on disk. Reconnects for as long as it lives.
 */
import { createChanges } from '../changes.ts';
import { causeText, type AgentsightError } from '../errors.ts';
import type { EventBatch, Sink } from '../sinks/sink.ts';
import { Counters, type StageStats } from '../stats.ts';
import { openConnection, type Connection } from './connection.ts';
import { deliverLeftovers } from './leftovers.ts';
import { DEFAULT_LIMITS, type HubLinkLimits, type HubLinkOptions } from './options.ts';
import type { Refused, Welcome } from './protocol.ts';
import { splitLines } from './split.ts';
import { Spool } from './spool.ts';
import { UnackedBatches, type Lines } from './unacked.ts';

export type { HubLinkOptions };

export interface HubLink extends Sink {
  ready(): Promise<void>;
  readonly connected: boolean;
}

/** Starts connecting at once. */
export function createHubLink(options: HubLinkOptions): HubLink {
  return new Link(options);
}

class Link implements HubLink {
  readonly name = 'link';
  readonly takes = 'lines';
  readonly #options: HubLinkOptions;
  readonly #limits: HubLinkLimits;
  readonly #counters = new Counters(['events', 'batches', 'refused', 'spooled', 'resent', 'connections', 'failures']);
  readonly #unacked = new UnackedBatches();
  readonly #spool: Spool;
  readonly #leftovers = new AbortController();
  #sequence = 0;
  #connection: Connection | undefined;
  #connected = false;
  #retryMs: number;
  #retryTimer: NodeJS.Timeout | undefined;
  #statsTimer: NodeJS.Timeout | undefined;
  #delivery: Promise<void> | undefined;
  #saidGone = false;
  #saidRefused = '';
  #saidSpool = false;
  #closed = false;
  #closing: Promise<void> | undefined;
  readonly #changes = createChanges();

  constructor(options: HubLinkOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#retryMs = this.#limits.retryFirstMs;
    const { spoolDir, hello, owner } = options;
    this.#spool = new Spool({ spoolDir, hello, owner, maxBytes: this.#limits.spoolBytes, segmentBytes: this.#limits.segmentBytes });
    void this.#connect();
  }

  get connected(): boolean {
    return this.#connected;
  }

  write(batch: EventBatch): void {
    if (this.#closing !== undefined) {
      this.#counters.add('refused', batch.count);
      return;
    }
    const { pieces, refusedLines } = splitLines(batch.jsonl, this.#limits.frameBytes);
    this.#counters.add('refused', refusedLines);
    for (const piece of pieces) this.#keep(piece);
    this.#pump();
  }

  /** While the hub is there, until less than half of the memory is taken; at once when it is away. */
  async ready(): Promise<void> {
    while (this.#connected && this.#closing === undefined && (!this.#spool.empty || this.#unacked.bytes * 2 > this.#limits.unackedBytes)) {
      await this.#changes.next();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  stats(): StageStats {
    const waiting = { unacked_events: this.#unacked.events + this.#spool.events, unacked_bytes: this.#unacked.bytes, spool_bytes: this.#spool.bytes };
    return { stage: this.name, counters: { ...this.#counters.snapshot(), ...waiting } };
  }

  /** In memory while there is room and nothing older waits on disk: order is kept. */
  #keep(lines: Lines): void {
    const inMemory = this.#spool.empty && this.#unacked.bytes + lines.jsonl.length <= this.#limits.unackedBytes;
    if (inMemory && this.#unacked.join(lines, this.#limits.batchBytes)) return;
    this.#sequence += 1;
    const batch = { sequence: this.#sequence, ...lines };
    if (inMemory) {
      this.#unacked.push(batch, { onDisk: false });
      return;
    }
    try {
      this.#counters.add('refused', this.#spool.append(batch));
      this.#counters.add('spooled', batch.events);
    } catch (cause) {
      this.#counters.add('refused', batch.events);
      if (!this.#saidSpool) this.#options.onNotice(`could not spool events for the hub in ${this.#spool.dir}: ${causeText(cause)}; they are counted as lost`);
      this.#saidSpool = true;
    }
  }

  /** Sends what hub and socket take; fills memory from the spool as acknowledgements make room. */
  #pump(): void {
    this.#refill();
    if (!this.#connected || this.#connection === undefined) return;
    while (this.#unacked.inFlight < this.#limits.batchesInFlight) {
      const batch = this.#unacked.next();
      if (batch === undefined) break;
      if (batch.sent) this.#counters.add('resent', batch.events);
      batch.sent = true;
      if (!this.#connection.sendBatch(batch.sequence, batch.parts)) break;
    }
  }

  #refill(): void {
    while (!this.#spool.empty && this.#connected) {
      // A segment bigger than the whole limit still has to pass, alone.
      if (this.#unacked.bytes > 0 && this.#unacked.bytes + this.#spool.oldestBytes > this.#limits.unackedBytes) return;
      try {
        const { batches, lostEvents } = this.#spool.load();
        this.#counters.add('refused', lostEvents);
        for (const batch of batches) this.#unacked.push(batch, { onDisk: true });
      } catch (cause) {
        this.#options.onNotice(`could not read back spooled events: ${causeText(cause)}`);
        return;
      }
    }
  }

  async #connect(): Promise<void> {
    const { socketPath, hello } = this.#options;
    let path: string;
    try {
      path = typeof socketPath === 'string' ? socketPath : await socketPath();
    } catch (cause) {
      if (!this.#closed) this.#retry(cause as AgentsightError, null);
      return;
    }
    if (this.#closed) return;
    this.#connection = openConnection({ socketPath: path, hello }, {
      onWelcome: (welcome) => this.#welcomed(welcome, path),
      onAck: (sequence) => this.#acked(sequence),
      onDrain: () => this.#pump(),
      onEnd: (reason, refused) => this.#retry(reason, refused),
    });
  }

  #welcomed(welcome: Welcome, socketPath: string): void {
    this.#connected = true;
    this.#counters.add('connections');
    this.#retryMs = this.#limits.retryFirstMs;
    if (this.#saidGone) this.#options.onNotice('the hub is back; what waited is being delivered');
    this.#saidGone = false;
    this.#saidRefused = '';
    this.#unacked.rewind();
    this.#statsTimer = setInterval(() => this.#sendStats(), this.#limits.statsMs).unref();
    this.#options.onWelcome?.(welcome);
    this.#pump();
    this.#changes.tell();
    if (this.#options.deliverLeftovers !== false && !this.#leftovers.signal.aborted) this.#deliverLeftovers(socketPath);
  }

  #deliverLeftovers(socketPath: string): void {
    const { spoolDir, hello, owner, onNotice } = this.#options;
    if (this.#delivery !== undefined) return;
    this.#delivery = deliverLeftovers({ socketPath, spoolDir, own: hello, owner, signal: this.#leftovers.signal }).then(
      (events) => {
        if (events > 0) onNotice(`delivered ${events} events that an earlier run had left for the hub`);
      },
      (cause: unknown) => onNotice(`could not deliver what earlier runs left for the hub: ${causeText(cause)}`),
    ).finally(() => (this.#delivery = undefined));
  }

  #acked(sequence: number): void {
    const stored = this.#unacked.ack(sequence);
    for (const batch of stored) {
      this.#counters.add('events', batch.events);
      this.#counters.add('batches');
    }
    const last = stored.at(-1);
    if (last !== undefined) this.#spool.release(last.sequence);
    this.#pump();
    this.#changes.tell();
  }

  #retry(reason: AgentsightError, refused: Refused | null): void {
    const wasConnected = this.#connected;
    this.#connected = false;
    this.#connection = undefined;
    clearInterval(this.#statsTimer);
    this.#counters.add('failures');
    this.#sayWhy(reason, refused, wasConnected);
    const waitMs = refused === null ? this.#retryMs : this.#limits.refusedRetryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, this.#limits.retryLastMs);
    // Jitter: many collectors must not come back in the same instant.
    this.#retryTimer = setTimeout(() => void this.#connect(), waitMs * (0.5 + Math.random() / 2));
    // The run decides how long it lasts, not the wait for a hub.
    this.#retryTimer.unref();
    this.#changes.tell();
  }

  #sayWhy(reason: AgentsightError, refused: Refused | null, wasConnected: boolean): void {
    if (refused !== null) {
      if (this.#saidRefused !== refused.code) this.#options.onNotice(`the hub refused us (${refused.code}): ${refused.message}; events wait in memory and in ${this.#spool.dir}`);
      this.#saidRefused = refused.code;
    } else if (!this.#saidGone && (wasConnected || this.#counters.get('connections') === 0)) {
      this.#options.onNotice(`${reason.message}; capture goes on, events wait for it`);
      this.#saidGone = true;
    }
  }

  #sendStats(): void {
    if (this.#connected && this.#options.stages !== undefined) {
      this.#connection?.sendStats(this.#options.stages().map(({ stage, counters }) => ({ stage, counters: { ...counters } })));
    }
  }

  /** A short run is long enough to deliver what an earlier one left, but not to be held up by a gigabyte of it. */
  async #finishLeftovers(): Promise<void> {
    const timer = setTimeout(() => this.#leftovers.abort(), this.#limits.closeLeftoversMs);
    await this.#delivery;
    clearTimeout(timer);
    this.#leftovers.abort();
  }

  async #finish(): Promise<void> {
    this.#changes.tell();
    await this.#waitForAcks();
    await this.#finishLeftovers();
    this.#sendStats();
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    clearInterval(this.#statsTimer);
    const connection = this.#connection;
    if (this.#connected) await connection?.end();
    else connection?.destroy();
    this.#connected = false;
    this.#keepRest();
  }

  async #waitForAcks(): Promise<void> {
    const start = performance.now();
    while (this.#unacked.events > 0 || !this.#spool.empty) {
      const limitMs = this.#connected ? this.#limits.closeMs : this.#limits.closeUnreachableMs;
      const leftMs = limitMs - (performance.now() - start);
      if (leftMs <= 0) return;
      await Promise.race([this.#changes.next(), new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, 100)))]);
    }
  }

  /** What the hub has not stored stays on disk for a later run. */
  #keepRest(): void {
    const events = this.#unacked.events + this.#spool.events;
    let lost = 0;
    for (const run of this.#unacked.runsInMemoryOnly()) {
      try {
        this.#spool.prepend(run);
      } catch {
        lost += run.reduce((sum, batch) => sum + batch.events, 0);
      }
    }
    this.#counters.add('refused', lost);
    this.#spool.close({ keep: events > 0 });
    if (events > lost) this.#options.onNotice(`${events - lost} events wait for the hub in ${this.#spool.dir}; the next run delivers them`);
    if (lost > 0) this.#options.onNotice(`${lost} events could not be kept for the hub: they are lost`);
  }
}
