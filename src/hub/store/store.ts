/**
 * The store: events in, lists out. Embedded (an engine process of our own) or a
 * ClickHouse server by URL; the difference ends at the address.
 */
import { join } from 'node:path';
import type { ClickHouseClient } from '@clickhouse/client';
import { AgentsightError, causeText } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { Counters } from '../../stats.ts';
import type { Health, Process, Session, StoreInfo } from '../api.ts';
import { EngineProcess } from '../engine/process.ts';
import { openClient, select, storeError, type StoreAddress } from './client.ts';
import { encodeEventCursor, encodeKeyCursor } from './cursor.ts';
import { eventQuery, eventsQuery, exchangesQuery, scanQuery, type EventFilter, type ExchangeRow, type Query, type ScanRow } from './event-queries.ts';
import { ingest, type IngestResult } from './ingest.ts';
import {
  processesQuery, readProcess, readSession, rootsQuery, sessionsQuery,
  type ProcessFilter, type ProcessRow, type RootRow, type SessionFilter, type SessionRow,
} from './process-queries.ts';
import { dropPart, expiredParts, listParts, type RetentionLimits } from './retention.ts';
import { exchangeJson } from './exchange.ts';
import { listedEvent, wholeEvent, type EventRow } from './rows.ts';
import type { RowFilter } from './where.ts';
import { MIGRATIONS, MIGRATION_TABLE } from './schema.ts';

export interface StoreOptions {
  /** A ClickHouse server; without it the embedded engine under `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  readonly limits?: RetentionLimits | undefined;
  readonly freeDiskBytes?: number | undefined;
  readonly log: (text: string) => void;
}

/** `items` as JSON texts: what the store has as text is not parsed to be written again. */
export interface JsonPage {
  readonly items: readonly string[];
  readonly next: string | null;
}

const COUNTERS = ['batches', 'events', 'refused', 'failed', 'dropped_parts', 'dropped_events', 'engine_restarts'] as const;

/** Opens the store and brings its tables up to date. Throws STORE_FAILED or STORE_ENGINE_MISSING. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const store = new Store(options);
  try {
    await store.open();
  } catch (error) {
    await store.close();
    throw storeError(options.url === undefined ? 'open the embedded store' : 'open the store at the given URL', error);
  }
  return store;
}

export class Store {
  readonly #options: StoreOptions;
  readonly #limits: RetentionLimits;
  readonly #counters = new Counters(COUNTERS);
  readonly #engine: EngineProcess | null;
  #client: ClickHouseClient | null = null;
  #state: Health['store'] = 'starting';
  #enginePid: number | null = null;
  #retainTimer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#limits = options.limits ?? { bytes: LIMITS.storeBytes, days: LIMITS.storeDays };
    this.#engine = options.url === undefined ? this.#createEngine() : null;
  }

  get state(): Health['store'] {
    return this.#state;
  }

  /** Process of the embedded engine, while it runs. */
  get enginePid(): number | null {
    return this.#enginePid;
  }

  async open(): Promise<void> {
    if (this.#engine === null) this.#connect({ url: this.#options.url ?? '' });
    else await this.#engine.start();
    await this.#migrate();
    await this.retain();
    this.#retainTimer = setInterval(() => {
      this.retain().catch((error: unknown) => this.#options.log(`could not check the store's size: ${causeText(error)}`));
    }, LIMITS.storeRetainMs);
    this.#retainTimer.unref();
  }

  #createEngine(): EngineProcess {
    return new EngineProcess({
      path: join(this.#options.dataDir, 'store'),
      mergedPartBytes: Math.max(Math.floor(this.#limits.bytes / LIMITS.storePartShare), 1024 * 1024),
      freeDiskBytes: this.#options.freeDiskBytes ?? LIMITS.storeFreeDiskBytes,
      onUp: (address) => {
        this.#enginePid = address.pid;
        this.#connect(address);
      },
      onDown: (reason) => {
        this.#state = 'down';
        this.#enginePid = null;
        this.#counters.add('engine_restarts');
        this.#disconnect();
        this.#options.log(reason);
      },
      log: this.#options.log,
    });
  }

  #connect(address: StoreAddress): void {
    this.#disconnect();
    this.#client = openClient(address);
    this.#state = 'ready';
  }

  #disconnect(): void {
    const client = this.#client;
    this.#client = null;
    client?.close().catch(() => undefined);
  }

  #ready(): ClickHouseClient {
    if (this.#client === null) {
      throw new AgentsightError('STORE_FAILED', 'could not reach the store: it is starting again');
    }
    return this.#client;
  }

  async #migrate(): Promise<void> {
    const client = this.#ready();
    await client.command({ query: MIGRATION_TABLE });
    const done = new Set((await select<{ number: number }>(client, 'SELECT number FROM migrations')).map((row) => row.number));
    for (const migration of MIGRATIONS) {
      if (done.has(migration.number)) continue;
      for (const statement of migration.statements) await client.command({ query: statement });
      await client.command({ query: `INSERT INTO migrations (number) VALUES (${migration.number})` });
    }
  }

  /**
   * Stores one batch of event lines; what is resolved is on the disk. The same
   * token and bytes may come again. Rejects when the store cannot take it now.
   */
  async insertBatch(token: string, lines: Buffer): Promise<IngestResult> {
    try {
      const result = await ingest(this.#ready(), token, lines);
      this.#counters.add('batches');
      this.#counters.add('events', result.stored);
      this.#counters.add('refused', result.refused);
      if (this.#engine === null) this.#state = 'ready';
      return result;
    } catch (error) {
      this.#counters.add('failed');
      // The engine's own state is known from its process; a server's only from what it answers.
      if (this.#engine === null) this.#state = 'down';
      throw storeError('store a batch', error);
    }
  }

  async events(filter: EventFilter, signal?: AbortSignal): Promise<JsonPage> {
    if (filter.where !== undefined) return this.#scan(filter, filter.where, signal);
    const rows = await this.#select<EventRow>(eventsQuery(filter), signal);
    return page(rows, filter.limit, listedEvent, encodeEventCursor);
  }

  /** Looks at rows until the page is full; a request that would look at too many ends with a short page. */
  async #scan(filter: EventFilter, where: RowFilter, signal: AbortSignal | undefined): Promise<JsonPage> {
    const items: string[] = [];
    const limit = LIMITS.whereQueryRows - 1;
    let { cursor } = filter;
    for (let looked = 0; looked < LIMITS.whereRequestRows;) {
      const rows = await this.#select<ScanRow>(scanQuery({ ...filter, cursor, limit }), signal);
      for (const row of rows) {
        if (where.fits(row)) {
          if (items.length === filter.limit) return { items, next: cursor ?? null };
          items.push(listedEvent(row));
        }
        cursor = encodeEventCursor(row);
      }
      looked += rows.length;
      const total = Number(rows[0]?.total ?? 0);
      if (rows.length === total && total <= limit) return { items, next: null };
      signal?.throwIfAborted();
    }
    return { items, next: cursor ?? null };
  }

  async exchanges(filter: EventFilter, signal?: AbortSignal): Promise<JsonPage> {
    const rows = await this.#select<ExchangeRow>(exchangesQuery(filter), signal);
    return page(rows, filter.limit, exchangeJson, encodeEventCursor);
  }

  /** JSON of the whole event, or null. */
  async event(id: string, signal?: AbortSignal): Promise<string | null> {
    const [row] = await this.#select<EventRow>(eventQuery(id), signal);
    return row === undefined ? null : wholeEvent(row);
  }

  async sessions(filter: SessionFilter, signal?: AbortSignal): Promise<JsonPage> {
    const rows = await this.#select<SessionRow>(sessionsQuery(filter), signal);
    const roots = rows.length === 0 ? [] : await this.#select<RootRow>(rootsQuery(rows.map((row) => row.session)), signal);
    const bySession = new Map(roots.map((root) => [root.session, root]));
    const toJson = (row: SessionRow): string => JSON.stringify(readSession(row, bySession.get(row.session)) satisfies Session);
    return page(rows, filter.limit, toJson, (row) => encodeKeyCursor(row.start, row.session));
  }

  /** JSON of the session, or null. */
  async session(key: string, signal?: AbortSignal): Promise<string | null> {
    const { items } = key === '' ? { items: [] } : await this.sessions({ session: key, limit: 1 }, signal);
    return items[0] ?? null;
  }

  async processes(filter: ProcessFilter, signal?: AbortSignal): Promise<JsonPage> {
    const rows = await this.#select<ProcessRow>(processesQuery(filter), signal);
    return page(rows, filter.limit, processJson, (row) => encodeKeyCursor(row.start, row.process));
  }

  async info(): Promise<StoreInfo> {
    let events = 0;
    let bytes = 0;
    if (this.#client !== null) {
      try {
        const [row] = await select<{ events: string; bytes: string }>(this.#client, `
SELECT toString(sum(rows)) AS events, toString(sum(bytes_on_disk)) AS bytes
FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events'`);
        events = Number(row?.events ?? 0);
        bytes = Number(row?.bytes ?? 0);
      } catch {
        // The state says so; the counters are still worth showing.
      }
    }
    return {
      kind: this.#engine === null ? 'server' : 'embedded',
      state: this.#state,
      events,
      bytes,
      limitBytes: this.#limits.bytes,
      limitDays: this.#limits.days,
      counters: this.#counters.snapshot(),
    };
  }

  /** Drops what is too old or too much; a server's disk is its owner's, and nothing is dropped there. */
  async retain(): Promise<void> {
    if (this.#client === null || this.#engine === null) return;
    const client = this.#client;
    const parts = await listParts(client);
    for (const part of expiredParts(parts, this.#limits, Date.now() / 1000)) {
      // A merge may have replaced it since: the next round sees what it became.
      const dropped = await dropPart(client, part).then(() => true, () => false);
      if (!dropped) continue;
      this.#counters.add('dropped_parts');
      this.#counters.add('dropped_events', part.rows);
    }
  }

  /** Safe twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#retainTimer !== null) clearInterval(this.#retainTimer);
    this.#state = 'down';
    this.#disconnect();
    await this.#engine?.close();
  }

  async #select<Row>(query: Query, signal: AbortSignal | undefined): Promise<readonly Row[]> {
    try {
      return await select<Row>(this.#ready(), query.sql, query.parameters, signal);
    } catch (error) {
      throw storeError('read from the store', error);
    }
  }
}

/** The query asked for one row more than the page has: whether there is one says whether there is a next page. */
function page<Row>(
  rows: readonly Row[],
  limit: number,
  toJson: (row: Row) => string,
  toCursor: (row: Row) => string,
): JsonPage {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(toJson), next: rows.length > limit && last !== undefined ? toCursor(last) : null };
}

function processJson(row: ProcessRow): string {
  return JSON.stringify(readProcess(row) satisfies Process);
}
