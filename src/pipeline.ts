/**
 * The composition root: the one file that knows runners, analyzers and sinks
 * together. Events flow one way, runner -> analyzers -> batches -> sinks. Each
 * event passes the analyzers alone; sinks take whole batches.
 */
import { asyncScheduler, identity, type MonoTypeOperatorFunction, Observable, Subject } from 'rxjs';
import { select } from '../analyzers/filter.ts';
import { createHttpCounters, http } from '../analyzers/http.ts';
import { createMcpCounters, mcp } from '../analyzers/mcp.ts';
import { createRedactCounters, createSecretLocator, redact } from '../analyzers/redact.ts';
import { replayGate } from '../analyzers/replay-gate.ts';
import { createWhereCounters, where, withoutChunks } from '../analyzers/where.ts';
import type { Expression } from '../analyzers/where/expression.ts';
import type { Event, Source } from './event.ts';
import { createFingerprint } from './fingerprint.ts';
import { createEncoder } from './event-json.ts';
import { LIMITS } from './limits.ts';
import type { Runner } from './runners/runner.ts';
import type { Sink } from './sinks/sink.ts';
import type { StageStats } from './stats.ts';
import { now } from './time.ts';

export interface PipelineOptions {
  readonly runner: Runner;
  readonly sinks: readonly Sink[];
  /** Ids for the events that analyzers make. */
  readonly nextId: () => string;
  /** What reaches the sinks, besides events about ourselves; analyzers see everything. */
  readonly sources: readonly Source[];
  /** Filters that what reaches the sinks must fit, all of them, and filters of which it must fit none. */
  readonly where?: readonly Expression[];
  readonly exclude?: readonly Expression[];
  /** Filters of which a chunk of TLS must fit none, or it is as if it had not been captured. */
  readonly excludeChunk?: readonly Expression[];
  /** Lets `tls` chunks through to the sinks. */
  readonly raw: boolean;
  /** Of which traffic reaches the sinks; none: of all. */
  readonly ports?: readonly number[];
  readonly redact: boolean;
  /** Of a replay: connections whose `tls` chunks are in the capture, so that their exchanges are made anew. */
  readonly recompute?: ReadonlySet<string>;
  /** Of a replay: connections whose recorded exchanges stay, because they say more than the chunks. */
  readonly recorded?: ReadonlySet<string>;
}

/** Totals of one run, for its summary line. */
export interface Totals {
  readonly events: number;
  readonly bySource: ReadonlyMap<Source, number>;
}

export interface Pipeline {
  /** Resolves when the runner has completed and every sink is closed; rejects with the runner's error, sinks closed too. */
  readonly done: Promise<Totals>;
  /** Ends the runner; `done` follows when all is delivered. Safe twice. */
  stop(): Promise<void>;
  stats(): readonly StageStats[];
}

/** Starts the runner at once. */
export function runPipeline(options: PipelineOptions): Pipeline {
  const { runner, sinks } = options;
  const batcher = createBatcher(sinks);
  const analysis = createAnalysis(options);
  const done = deliver(runner, analysis.analyze, batcher.add)
    .finally(() => {
      batcher.flush();
      return Promise.all(sinks.map((sink) => sink.close()));
    })
    .then(() => batcher.totals());
  return {
    done,
    stop: () => runner.stop(),
    stats: () => [...runner.stats(), ...analysis.stats(), ...sinks.map((sink) => sink.stats())],
  };
}

interface Analysis {
  readonly analyze: (events: Observable<Event>) => Observable<Event>;
  stats(): readonly StageStats[];
}

/** http masks what it reads of TLS by the same rules by which redact masks the rest. */
function createAnalysis(options: PipelineOptions): Analysis {
  const httpCounters = createHttpCounters();
  const mcpCounters = createMcpCounters();
  const redactCounters = createRedactCounters();
  const whereCounters = createWhereCounters();
  const { nextId, raw, sources, ports = [], recompute, recorded } = options;
  // A replay goes by the time of its events alone, or an idle limit would depend on how fast it runs.
  const clock = recompute === undefined ? { scheduler: asyncScheduler } : {};
  const fingerprint = createFingerprint();
  const secrets = options.redact ? { locateSecrets: createSecretLocator(fingerprint) } : {};
  return {
    analyze: (events) =>
      events.pipe(
        withoutChunks(options.excludeChunk ?? [], whereCounters),
        replayGate(recompute ?? new Set()),
        http({ nextId, raw, recorded, keepOpaque: !options.redact, isReplay: recompute !== undefined, counters: httpCounters, ...secrets, ...clock }),
        // A capture has its calls already: secrets over the borders of chunks are masked in those alone.
        recompute === undefined ? mcp({ nextId, counters: mcpCounters, ...secrets }) : identity,
        redact({ enabled: options.redact, counters: redactCounters, fingerprint, derived: recompute !== undefined, ...clock }),
        options.redact ? identity : beginningWith(redactionNotice(nextId())),
        select({ sources, raw, ports }),
        where({ where: options.where ?? [], exclude: options.exclude ?? [], counters: whereCounters }),
      ),
    stats: () => [
      { stage: 'http', counters: httpCounters.snapshot() },
      { stage: 'mcp', counters: mcpCounters.snapshot() },
      { stage: 'redact', counters: redactCounters.snapshot() },
      { stage: 'filter', counters: whereCounters.snapshot() },
    ],
  };
}

/** As RxJS's startWith, which loads 27 files. */
function beginningWith(first: Event): MonoTypeOperatorFunction<Event> {
  return (events) => new Observable((subscriber) => {
    subscriber.next(first);
    return events.subscribe(subscriber);
  });
}

/** Whoever reads the file, the page or the store later must know that nothing in it is masked. */
function redactionNotice(id: string): Event {
  return {
    timestamp: now(), source: 'log', pid: 0, comm: '', id, process: null, session: null,
    data: { level: 'warn', message: 'redaction is off: credentials are written as they are' },
  };
}

/** Resolves when the runner has completed and the analyzers have flushed what they held. */
function deliver(runner: Runner, analyze: Analysis['analyze'], onEvent: (event: Event) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const input = new Subject<Event>();
    analyze(input).subscribe({ next: onEvent, error: reject, complete: resolve });
    runner.batches.subscribe({
      next: (events) => {
        for (const event of events) input.next(event);
      },
      error: reject,
      complete: () => input.complete(),
    });
  });
}

interface Batcher {
  add(event: Event): void;
  flush(): void;
  totals(): Totals;
}

/**
 * Collects events until a batch is full or its oldest event has waited long
 * enough. An event becomes its line at once, and is kept only for a sink that
 * takes events: what waits in a batch outlives V8's collections of new objects,
 * and those were a quarter of the collector's time.
 */
function createBatcher(sinks: readonly Sink[]): Batcher {
  const bySource = new Map<Source, number>();
  const encoder = createEncoder();
  const wantsLines = sinks.some(({ takes }) => takes === 'lines');
  const wantsEvents = sinks.some(({ takes }) => takes === 'events');
  let events = 0;
  let kept: Event[] = [];
  let pending = 0;
  let pendingBytes = 0;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (pending === 0) return;
    const batch = { count: pending, events: kept, jsonl: encoder.finish() };
    kept = [];
    pending = 0;
    pendingBytes = 0;
    for (const sink of sinks) sink.write(batch);
  };

  const add = (event: Event): void => {
    events += 1;
    bySource.set(event.source, (bySource.get(event.source) ?? 0) + 1);
    if (wantsLines) encoder.add(event);
    if (wantsEvents) kept.push(event);
    pending += 1;
    pendingBytes += payloadBytes(event);
    if (pending >= LIMITS.batchEvents || pendingBytes >= LIMITS.batchBytes) flush();
    else timer ??= setTimeout(flush, LIMITS.batchDelayMs);
  };

  return { add, flush, totals: () => ({ events, bySource }) };
}

/** Of what can be large; the rest of an event is some hundred bytes, which `batchEvents` bounds. */
function payloadBytes({ data }: Event): number {
  if ('payload' in data) return data.payload.length;
  return 'response_body' in data ? (data.request_body?.length ?? 0) + (data.response_body?.length ?? 0) : 0;
}
