/**
 * The live stream to the pages: events as they arrive, joined into at most 20
 * frames a second. It never holds up the store: what a page or the parse budget
 * cannot take is dropped and its number said in the next frame, and the page
 * fetches the gap over REST. Nothing is parsed while no page is connected.
 */
import type { WebSocket } from 'ws';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { now } from '../time.ts';
import type { Info, LiveFrame } from './api.ts';
import { countForSession, readLiveLine, type LiveEvent } from './live-line.ts';
import { countLines } from './store/ingest.ts';

const TICK_MS = 1000 / LIMITS.liveFramesPerSecond;
const STATUS_MS = 1000;
const HEARTBEAT_MS = 15_000;
const NEWLINE = 0x0a;

interface PageState {
  readonly socket: WebSocket;
  readonly session: string | null;
  dropped: number;
  answered: boolean;
}

interface Pending {
  readonly lines: Buffer;
  offset: number;
  count: number;
}

export interface LiveOptions {
  readonly hub: string;
  readonly info: () => Promise<Info>;
  /** The first page came or the last one went. */
  readonly onPages: (count: number) => void;
}

export class Live {
  readonly #options: LiveOptions;
  readonly #pages = new Set<PageState>();
  readonly #counters = new Counters(['events', 'dropped', 'unreadable']);
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #tick: NodeJS.Timeout | null = null;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get pages(): number {
    return this.#pages.size;
  }

  /** Events that some page was not sent, over all pages. */
  get dropped(): number {
    return this.#counters.get('dropped');
  }

  /** False when there are too many pages already. */
  attach(socket: WebSocket, session: string | null): boolean {
    if (this.#pages.size >= LIMITS.livePages) return false;
    const page: PageState = { socket, session, dropped: 0, answered: true };
    this.#pages.add(page);
    socket.on('pong', () => {
      page.answered = true;
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.#detach(page));
    this.#send(page, { kind: 'hello', hub: this.#options.hub, now: String(now()) });
    if (this.#pages.size === 1) this.#start();
    this.#sendStatus();
    this.#options.onPages(this.#pages.size);
    return true;
  }

  /** Event lines as they came from a collector. The buffer must not change afterwards. */
  publish(lines: Buffer): void {
    if (this.#pages.size === 0) return;
    this.#pending.push({ lines, offset: 0, count: countLines(lines) });
    this.#pendingBytes += lines.length;
    while (this.#pendingBytes > LIMITS.liveQueuedBytes && this.#pending.length > 1) this.#dropOldest();
    this.#tick ??= setTimeout(() => this.#flush(), TICK_MS);
  }

  #dropOldest(): void {
    const oldest = this.#pending.shift();
    if (oldest === undefined) return;
    this.#pendingBytes -= oldest.lines.length;
    const left = oldest.lines.subarray(oldest.offset);
    for (const page of this.#pages) this.#countDropped(page, page.session === null ? oldest.count : countForSession(left, page.session));
  }

  #countDropped(page: PageState, count: number): void {
    page.dropped += count;
    this.#counters.add('dropped', count);
  }

  #flush(): void {
    this.#tick = null;
    const events = this.#takeEvents();
    for (const page of this.#pages) this.#sendEvents(page, events);
    if (this.#pending.length > 0) this.#tick = setTimeout(() => this.#flush(), TICK_MS);
  }

  #takeEvents(): readonly LiveEvent[] {
    const events: LiveEvent[] = [];
    let bytes = 0;
    let batch = this.#pending[0];
    while (batch !== undefined && events.length < LIMITS.liveEventsPerFrame && bytes < LIMITS.liveParseBytes) {
      const newline = batch.lines.indexOf(NEWLINE, batch.offset);
      const end = newline === -1 ? batch.lines.length : newline;
      if (end > batch.offset) {
        const event = readLiveLine(batch.lines.toString('utf8', batch.offset, end));
        if (event === null) this.#counters.add('unreadable');
        else events.push(event);
        bytes += end - batch.offset;
        batch.count -= 1;
      }
      batch.offset = end + 1;
      if (batch.offset >= batch.lines.length) {
        this.#pending.shift();
        this.#pendingBytes -= batch.lines.length;
        batch = this.#pending[0];
      }
    }
    return events;
  }

  #sendEvents(page: PageState, events: readonly LiveEvent[]): void {
    const wanted = page.session === null
      ? events
      : events.filter((event) => event.session === page.session || event.session === null);
    if (page.socket.bufferedAmount > LIMITS.liveQueuedBytes) {
      this.#countDropped(page, wanted.length);
      return;
    }
    if (wanted.length === 0 && page.dropped === 0) return;
    const texts = wanted.map((event) => event.json).join(',');
    page.socket.send(`{"kind":"events","events":[${texts}],"dropped":${page.dropped}}`);
    page.dropped = 0;
    this.#counters.add('events', wanted.length);
  }

  #send(page: PageState, frame: LiveFrame): void {
    // A page this far behind learns the state from the frames that it has yet to read.
    if (page.socket.bufferedAmount <= LIMITS.liveQueuedBytes) page.socket.send(JSON.stringify(frame));
  }

  #sendStatus(): void {
    this.#options.info().then(
      (info) => {
        for (const page of this.#pages) this.#send(page, { kind: 'status', info });
      },
      () => undefined,
    );
  }

  /** What was dropped last must be told even if nothing comes after it. */
  #sendCounts(): void {
    for (const page of this.#pages) if (page.dropped > 0) this.#sendEvents(page, []);
  }

  #start(): void {
    this.#timers = [
      setInterval(() => this.#sendStatus(), STATUS_MS),
      setInterval(() => this.#sendCounts(), STATUS_MS),
      setInterval(() => this.#heartbeat(), HEARTBEAT_MS),
    ];
  }

  #heartbeat(): void {
    for (const page of this.#pages) {
      if (!page.answered) {
        page.socket.terminate();
        continue;
      }
      page.answered = false;
      page.socket.ping();
      this.#send(page, { kind: 'heartbeat', now: String(now()) });
    }
  }

  #detach(page: PageState): void {
    if (!this.#pages.delete(page)) return;
    if (this.#pages.size === 0) this.#stop();
    this.#options.onPages(this.#pages.size);
  }

  #stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    if (this.#tick !== null) clearTimeout(this.#tick);
    this.#tick = null;
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** Safe twice. */
  close(): void {
    for (const page of this.#pages) page.socket.close(1001, 'the hub is leaving');
    this.#stop();
  }
}
