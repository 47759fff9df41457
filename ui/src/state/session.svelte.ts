/** One session in the page: loads it, follows it live, and keeps it bounded. */
import type { ApiEvent, Info, LiveFrame, Session } from '../../../src/hub/api.ts';
import { type Api, ApiError, PAGE_ITEMS } from '../lib/api.ts';
import { EventStore, STORE_ROWS } from '../lib/event-store.ts';
import { fetchNewest, fetchSpan } from '../lib/fetch-events.ts';
import { type Gap, addGap, setFilled, setGap } from '../lib/gaps.ts';
import { type LiveClient, type LiveState, type Socket, openLive } from '../lib/live.ts';
import { pause } from '../lib/pause.ts';
import { ProcessTable } from '../lib/process-table.ts';
import { type Row, toRow } from '../lib/row.ts';
import { TimeBase } from '../lib/time-base.ts';
import type { Span } from '../lib/time-scale.ts';
import { WhereSearch } from './where-search.svelte.ts';

/** The page redraws at most this often, however many frames arrive. */
const FLUSH_MS = 50;
/** Frames that wait for a flush; a hidden page's timers may sleep, and then the gap is fetched instead. */
const PENDING_EVENTS = 50_000;
/** An exchange is written when it ends and stamped when it began: look this far back for it. */
const EXCHANGE_REACH_NS = 10 * 60e9;
/** The page's idea of the hub's clock may be late by this much. */
const CLOCK_SLACK_NS = 2e9;
const EXCHANGE_PAGES = 4;
const BACKFILL_TRIES = 3;
/** Fetched again for a window older than what is in memory. */
const PAST_ROWS = 40_000;

/** More shapes than a session goes through, so that two numbers fit in one. */
const SHAPES_MAX = 2 ** 32;

export interface StoreView {
  readonly stores: readonly EventStore[];
  readonly version: number;
}

export interface SessionOptions {
  readonly api: Api;
  readonly session: Session;
  readonly onInfo: (info: Info) => void;
}

export class SessionModel {
  readonly base: TimeBase;
  readonly table: ProcessTable;
  meta = $state.raw<Session>() as Session;
  /** Replaced at each flush: what derives from the stores derives from this. */
  view = $state.raw<StoreView>({ stores: [], version: 0 });
  /** Of the process table, and of the stores' lanes: the layout derives from these, not from each flush. */
  tableVersion = $state(0);
  shape = $state(0);
  losses = $state.raw<readonly Row[]>([]);
  probes = $state.raw<readonly Row[]>([]);
  gaps = $state.raw<readonly Gap[]>([]);
  live = $state<LiveState>('connecting');
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  error = $state('');
  /** All that the hub has is in memory. */
  complete = $state(false);
  liveDropped = $state(0);
  arrived = $state(0);
  newest = $state(0);

  readonly #api: Api;
  readonly #onInfo: (info: Info) => void;
  readonly #store = new EventStore();
  #past = new EventStore(PAST_ROWS);
  #pastNumber = 0;
  #pastSpan: Span | null = null;
  readonly #abort = new AbortController();
  #client: LiveClient | null = null;
  #pending: ApiEvent[] = [];
  #flushTimer: ReturnType<typeof setTimeout> | null = null;
  #clockNs = 0;
  #wasOpen = false;
  #lastFrameNs = 0;
  #gapId = 0;
  /** Time of the oldest event that came since it was taken. */
  #freshFrom = Number.POSITIVE_INFINITY;

  constructor(options: SessionOptions) {
    this.#api = options.api;
    this.#onInfo = options.onInfo;
    this.meta = options.session;
    this.base = new TimeBase(options.session.start);
    this.table = new ProcessTable(this.base);
    this.newest = this.base.toOffset(options.session.last);
    this.#clockNs = Date.now() * 1e6 - Number(this.base.originNs) - performance.now() * 1e6;
    this.#publish();
  }

  get running(): boolean {
    return this.meta.end === null;
  }

  /** Events that the hub has and the page does not hold. */
  get unloaded(): number {
    return this.complete && this.#store.evicted === 0 ? 0 : Math.max(this.#store.evicted, this.meta.events - this.#store.rows.length, 0);
  }

  /** Oldest time from which the page holds everything; null when that is the start. */
  get heldFrom(): number | null {
    return this.complete && this.#store.evicted === 0 ? null : this.#store.from;
  }

  /** The hub's clock, not the browser's. */
  nowNs(): number {
    return this.#clockNs + performance.now() * 1e6;
  }

  open(): void {
    this.#client = openLive({
      url: this.#api.liveUrl(this.meta.session),
      connect: (url, protocol) => new WebSocket(url, protocol) as unknown as Socket,
      onFrame: (frame) => this.#onFrame(frame),
      onState: (state) => { this.live = state; },
    });
    void this.#load();
  }

  close(): void {
    this.#abort.abort();
    this.#client?.close();
    this.#client = null;
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#flushTimer = null;
  }

  retry(): void {
    this.#client?.retryNow();
    if (this.phase === 'failed') void this.#load();
  }

  row(id: string): Row | undefined {
    return this.#store.get(id) ?? this.#past.get(id);
  }

  createSearch(): WhereSearch {
    return new WhereSearch({ api: this.#api, session: this.meta.session, takeFreshFrom: () => this.#takeFreshFrom() });
  }

  #takeFreshFrom(): string | null {
    const from = this.#freshFrom;
    this.#freshFrom = Number.POSITIVE_INFINITY;
    return Number.isFinite(from) ? this.base.toEpoch(from) : null;
  }

  /** Fetches a window that is older than what is in memory; the next one replaces it. */
  async loadPast(span: Span): Promise<void> {
    const held = this.heldFrom;
    if (held === null || this.phase !== 'ready' || span.from >= held || !Number.isFinite(held)) return;
    const wanted = { from: Math.max(0, span.from), to: Math.min(span.to, held) };
    if (this.#pastSpan !== null && this.#pastSpan.from <= wanted.from && this.#pastSpan.to >= wanted.to) return;
    this.#pastSpan = wanted;
    const past = new EventStore(PAST_ROWS);
    try {
      await fetchSpan({ ...this.#source(), ...this.#epochs(wanted), pages: PAST_ROWS / PAGE_ITEMS, take: (events) => past.add(events.map((event) => toRow(event, this.base))).length });
    } catch {
      if (this.#pastSpan === wanted) this.#pastSpan = null;
      return;
    }
    if (this.#pastSpan !== wanted) return;
    this.#past = past;
    this.#pastNumber += 1;
    this.#publish();
  }

  async #load(): Promise<void> {
    this.phase = 'loading';
    this.error = '';
    try {
      [this.complete] = await Promise.all([fetchNewest({ ...this.#source(), rows: STORE_ROWS, take: (events) => this.#take(events).length }), this.#loadProcesses(), this.#loadAboutOurselves()]);
      this.phase = 'ready';
      this.#publish();
    } catch (cause) {
      if (this.#abort.signal.aborted) return;
      this.phase = 'failed';
      this.error = cause instanceof ApiError ? cause.message : String(cause);
    }
  }

  async #loadProcesses(): Promise<void> {
    let cursor: string | null = null;
    do {
      const page = await this.#api.processes(this.meta.session, cursor, this.#abort.signal);
      this.table.merge(page.items);
      cursor = page.next;
    } while (cursor !== null && this.table.refused === 0);
    this.#publish();
  }

  /** Probes and losses may belong to no session: those of the session's time are shown with it. */
  async #loadAboutOurselves(): Promise<void> {
    const page = await this.#api.events({
      source: 'probe,loss,log',
      from: this.base.toEpoch(-30e9),
      to: this.base.toEpoch((this.running ? this.nowNs() : this.newest) + 5e9),
      limit: PAGE_ITEMS,
    }, this.#abort.signal);
    this.#take(page.items.filter((event) => event.session === null || event.session === this.meta.session));
  }

  #source(): { readonly api: Api; readonly session: string; readonly signal: AbortSignal } {
    return { api: this.#api, session: this.meta.session, signal: this.#abort.signal };
  }

  #epochs(span: Span): { readonly from: string; readonly to: string } {
    return { from: this.base.toEpoch(span.from), to: this.base.toEpoch(span.to + 1) };
  }

  #onFrame(frame: LiveFrame): void {
    if (frame.kind !== 'events') {
      this.#setClock(frame.kind === 'status' ? frame.info.now : frame.now, frame.kind === 'hello');
      if (frame.kind === 'hello') this.#onHello();
      if (frame.kind === 'status') this.#onInfo(frame.info);
      this.#lastFrameNs = this.nowNs();
      return;
    }
    const overflow = this.#pending.length + frame.events.length > PENDING_EVENTS;
    const dropped = frame.dropped + (overflow ? frame.events.length : 0);
    if (dropped > 0) this.#onDropped(dropped, frame.events);
    if (!overflow) this.#pending.push(...frame.events);
    this.#lastFrameNs = this.nowNs();
    this.#flushTimer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  /** A frame that travelled or waited long makes the clock late, so the earliest estimate of one connection is kept. */
  #setClock(now: string, first: boolean): void {
    const estimate = this.base.toOffset(now) - performance.now() * 1e6;
    this.#clockNs = first ? estimate : Math.max(this.#clockNs, estimate);
  }

  #onHello(): void {
    if (this.#wasOpen) this.#openGap({ from: this.#lastFrameNs - 1e9, to: this.nowNs() }, null);
    this.#wasOpen = true;
    if (this.phase === 'failed') void this.#load();
  }

  #onDropped(dropped: number, events: readonly ApiEvent[]): void {
    const times = events.map((event) => this.base.toOffset(event.timestamp));
    const pending = this.#pending.reduce((latest, event) => Math.max(latest, this.base.toOffset(event.timestamp)), this.newest);
    const last = times.reduce((latest, time) => Math.max(latest, time), pending);
    this.#openGap({ from: times.reduce((first, time) => Math.min(first, time), pending), to: Math.max(last, pending + 1e6, this.nowNs()) }, dropped);
  }

  #openGap(span: Span, dropped: number | null): void {
    this.#gapId += 1;
    const gap: Gap = { id: this.#gapId, from: span.from, to: span.to, dropped, state: 'fetching' };
    this.gaps = addGap(this.gaps, gap);
    void this.#fill(gap);
  }

  async #fill(gap: Gap): Promise<void> {
    let filled = 0;
    try {
      for (let attempt = 0; attempt < BACKFILL_TRIES; attempt += 1) {
        // The store takes a batch some tenths of a second after the stream does.
        await pause(400 * (attempt + 1), this.#abort.signal);
        const take = (events: readonly ApiEvent[]): number => this.#take(events).length;
        const source = { ...this.#source(), take };
        const to = gap.to + CLOCK_SLACK_NS;
        let fresh = await fetchSpan({ ...source, ...this.#epochs({ from: gap.from, to }), pages: STORE_ROWS / PAGE_ITEMS });
        fresh += await fetchSpan({ ...source, ...this.#epochs({ from: gap.from - EXCHANGE_REACH_NS, to }), pages: EXCHANGE_PAGES, source: 'http' });
        filled += fresh;
        // The hub does not know whose events it left out, so the count may be out of reach: then stop when nothing more comes.
        if (gap.dropped !== null && filled >= gap.dropped) break;
        if (fresh === 0 && filled > 0) break;
      }
      await this.#loadProcesses();
      this.liveDropped += filled;
      // Nothing of this session was missing: what the hub left out were events of others.
      this.gaps = gap.dropped !== null && filled === 0 ? this.gaps.filter((item) => item.id !== gap.id) : setFilled(this.gaps, gap.id, filled);
    } catch {
      if (!this.#abort.signal.aborted) this.gaps = setGap(this.gaps, gap.id, 'failed');
    }
  }

  #flush(): void {
    this.#flushTimer = null;
    const events = this.#pending;
    this.#pending = [];
    for (const event of events) {
      if (this.table.apply(event) && event.process === this.meta.session) this.#onRoot();
    }
    const fresh = this.#take(events);
    this.arrived += fresh.length;
    // A hub that was started again sends what the one before it did not store: known here, and only now to be found there.
    if (fresh.length < events.length) this.#freshFrom = events.reduce((oldest, event) => Math.min(oldest, this.base.toOffset(event.timestamp)), this.#freshFrom);
  }

  /** The end of the root process is the session's: no need to wait for the next list of sessions. */
  #onRoot(): void {
    const root = this.table.get(this.meta.session);
    if (root?.end == null || this.meta.end !== null) return;
    this.meta = { ...this.meta, end: this.base.toEpoch(root.end), exit_code: root.exitCode, signal: root.signal };
  }

  #take(events: readonly ApiEvent[]): readonly Row[] {
    const fresh = this.#store.add(events.map((event) => toRow(event, this.base)));
    if (fresh.length === 0) return fresh;
    const losses = fresh.filter((row) => row.source === 'loss');
    const probes = fresh.filter((row) => row.source === 'probe');
    if (losses.length > 0) this.losses = [...this.losses, ...losses].slice(-PAGE_ITEMS);
    if (probes.length > 0) this.probes = [...this.probes, ...probes].slice(-PAGE_ITEMS);
    this.#freshFrom = fresh.reduce((oldest, row) => Math.min(oldest, row.t), this.#freshFrom);
    this.newest = fresh.reduce((latest, row) => Math.max(latest, row.end), this.newest);
    this.#publish();
    return fresh;
  }

  #publish(): void {
    const stores = this.#past.rows.length > 0 ? [this.#past, this.#store] : [this.#store];
    this.view = { stores, version: this.view.version + 1 };
    this.tableVersion = this.table.version;
    // A sum of counters that only grow, and another number for another window of the past.
    this.shape = this.#pastNumber * SHAPES_MAX + stores.reduce((sum, store) => sum + store.shape, 0);
  }
}
