/**
 * The live source of events: the kernel, through the addon.
 *
 * Order of a start: load, hook the installed TLS libraries, drain, put the
 * targets into the traced set, tell what already ran, let the launched command
 * begin. Order of an end: drain, say what was lost, close.
 *
 * The run of a launched command ends with it and its descendants; those that
 * outlive it are given a second (`descendantGraceMs`), so that a daemon left
 * behind does not hold the trace for ever. A run that is attached to processes
 * ends when all of them and their descendants have gone. A run that selects
 * processes by what they are ends only by `stop`; where pids are given as well,
 * the selection says what they must be, and chooses nobody else.
 */
import { Observable, type Subscriber } from 'rxjs';
import { NO_SELECTION, type Addon, type Batch, type KernelCounters, type ProgramFamily, type Selection } from '../addon.ts';
import { createProcessTable, type ProcessTable } from '../decode/process-table.ts';
import { AgentsightError } from '../errors.ts';
import type { Event, ProbeData, SystemEvent, SystemThreshold } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import type { StageStats } from '../stats.ts';
import { adoptCommand } from './adopt.ts';
import { onlyProcess } from './hook-scope.ts';
import { createIoUringUsers, type IoUringUser } from './io-uring.ts';
import { hasIoUring } from './open-ends.ts';
import { holdCommand, type HeldCommand, type LaunchExit, type LaunchOptions } from './launch.ts';
import { likelyFiles } from './likely-files.ts';
import { createLossWatch } from './loss.ts';
import { lossEvent, probeEvent, unseenEvent } from './own-events.ts';
import { createOwnTrees } from './own-trees.ts';
import type { Runner } from './runner.ts';
import {
  endedUnseen, existingEvents, findSelected, resolveTarget, seedTrees, selectsProcesses, type Seeded, type Seeds,
} from './seed.ts';
import { openCapture, captureStats, type OpenCapture } from './open-capture.ts';
import type { TlsReportRow } from './tls-report.ts';
import { createUsageSampler, type UsageOptions, type UsageSampler } from './usage.ts';

export interface CaptureRunnerOptions {
  readonly addon: Addon;
  readonly launcherPath: string;
  readonly identity: Identity;
  readonly pids?: readonly number[];
  /** What becomes a root by itself, and what of the traced processes is kept. */
  readonly selection?: Partial<Selection>;
  readonly launch?: LaunchOptions | null;
  readonly families: readonly ProgramFamily[];
  readonly ringBytes?: number;
  readonly payloadBytesPerCall?: number;
  /** Payload kept of one call on a descriptor, in bytes. */
  readonly stdioBytesPerCall?: number;
  /** Descriptors that `stdio` is of; 0, 1 and 2 unless said otherwise. */
  readonly fds?: readonly number[];
  readonly allFds?: boolean;
  /** Ports whose connections are taken for plain HTTP. */
  readonly plainPorts?: readonly number[];
  /** What passes a hooked place tells that it is the wrong one: at once, for whoever reads no events. */
  readonly onSuspect?: (probe: ProbeData) => void;
  /** What processes use is measured; null where it is not. */
  readonly usage?: UsageOptions | null;
  readonly onOver?: (event: SystemEvent, threshold: SystemThreshold) => void;
  /** How long descendants may outlive the launched command before the run ends. */
  readonly descendantGraceMs?: number;
}

export interface CaptureReady {
  /** Processes that are in the traced set: roots and their descendants. */
  readonly traced: readonly { readonly pid: number; readonly comm: string; readonly root: boolean }[];
  /** Files that were looked at for TLS so far, and what came of it. */
  readonly probes: readonly ProbeData[];
}

export interface CaptureRunner extends Runner {
  /** Everything is recorded from here on. Rejects with what `batches` errors with; null when stopped before. */
  readonly ready: Promise<CaptureReady | null>;
  /** How the launched command ended; null when none was launched or it never began. */
  readonly exit: Promise<LaunchExit | null>;
  /** Sends a signal to the launched command, if it runs. */
  signal(signal: NodeJS.Signals): void;
  tlsReport(): readonly TlsReportRow[];
  /** A line for each traced process that was seen to use io_uring. */
  ioUringLines(): readonly string[];
}

const LOOK_MS = 1000;
const DESCENDANT_GRACE_MS = 1000;

export function createCaptureRunner(options: CaptureRunnerOptions): CaptureRunner {
  return new LiveCapture(options);
}

/** Lives from the subscription of `batches` to its end. */
class LiveCapture implements CaptureRunner {
  readonly batches: Observable<readonly Event[]>;
  readonly ready: Promise<CaptureReady | null>;
  readonly exit: Promise<LaunchExit | null>;

  readonly #options: CaptureRunnerOptions;
  /** What pids must be. */
  readonly #required: Selection;
  readonly #selection: Selection;
  readonly #processes: ProcessTable;
  readonly #losses = createLossWatch();
  readonly #ownTrees = createOwnTrees(process.pid, () => this.#held?.pid ?? null);
  readonly #probes: ProbeData[] = [];
  readonly #usage: UsageSampler | null;
  readonly #ioUring: ReturnType<typeof createIoUringUsers>;
  #setReady!: (ready: CaptureReady | null) => void;
  #failReady!: (error: unknown) => void;
  #setExit!: (exit: LaunchExit | Promise<LaunchExit> | null) => void;
  #subscriber: Subscriber<readonly Event[]> | null = null;
  #open: OpenCapture | null = null;
  #held: HeldCommand | null = null;
  #started: Promise<void> = Promise.resolve();
  #ended: Promise<void> | null = null;
  #running = false;
  #closed = false;
  #commandEnded = false;
  #lookTimer: NodeJS.Timeout | null = null;
  #graceTimer: NodeJS.Timeout | null = null;
  #usageTimer: NodeJS.Timeout | null = null;
  #lastStats: readonly StageStats[] = [];
  #lastReport: readonly TlsReportRow[] = [];

  constructor(options: CaptureRunnerOptions) {
    this.#options = options;
    const selection = { ...NO_SELECTION, ...options.selection };
    const { follow, ports } = selection;
    this.#required = selection;
    this.#selection = (options.pids ?? []).length === 0 ? selection : { ...NO_SELECTION, follow, ports };
    this.#processes = createProcessTable(options.identity);
    this.#ioUring = createIoUringUsers(options.identity);
    const { identity, usage, onOver = () => undefined } = options;
    this.#usage = usage == null ? null : createUsageSampler({ identity, options: usage, onOver });
    this.ready = new Promise((resolve, reject) => {
      this.#setReady = resolve;
      this.#failReady = reject;
    });
    this.ready.catch(() => undefined);
    this.exit = new Promise((resolve) => (this.#setExit = resolve));
    this.batches = new Observable((subscriber) => this.#subscribe(subscriber));
  }

  stop(): Promise<void> {
    return this.#end();
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#commandEnded) this.#held?.kill(signal);
  }

  stats(): readonly StageStats[] {
    const open = this.#open;
    if (open === null) return this.#lastStats;
    return [...captureStats(open), ...(this.#usage === null ? [] : [{ stage: 'usage', counters: this.#usage.counters() }])];
  }

  tlsReport(): readonly TlsReportRow[] {
    return this.#open?.tls?.report() ?? this.#lastReport;
  }

  ioUringLines(): readonly string[] {
    return this.#ioUring.lines();
  }

  #subscribe(subscriber: Subscriber<readonly Event[]>): () => void {
    if (this.#subscriber !== null) throw new Error('a capture runner has one subscriber');
    this.#subscriber = subscriber;
    if (this.#stopped()) subscriber.complete();
    else this.#started = this.#start().catch((error: unknown) => this.#fail(error));
    return () => this.#close();
  }

  async #start(): Promise<void> {
    const { launch, launcherPath, pids = [] } = this.#options;
    if (launch == null && pids.length === 0 && !selectsProcesses(this.#selection)) {
      throw new AgentsightError('USAGE', 'could not start the trace: no process, name or command was given');
    }
    const roots = pids.map((pid) => resolveTarget(pid, this.#required));
    if (launch != null) await this.#hold(launch, launcherPath);
    if (this.#stopped()) return;
    const open = openCapture({
      ...this.#options,
      selection: this.#selection,
      processes: this.#processes,
      onlyPid: onlyProcess({ launches: launch != null, roots, selection: this.#selection }),
      heldPid: () => this.#held?.pid ?? null,
      onJoin: (pid) => this.#join(pid),
      onProbe: (probe) => this.#emitProbe(probe),
      onIoUring: (user) => this.#noteIoUring(user),
    });
    this.#open = open;
    const { files, place } = likelyFiles(launch ?? null, roots, this.#options.addon.readElf);
    open.readline?.attachInstalled(files);
    await open.tls?.attachInstalled(files, place);
    if (this.#stopped()) return;
    open.capture.start((batch) => this.#deliver(batch));
    this.#lookTimer = setInterval(() => this.#guard(this.#look()), LOOK_MS);
    const ready = await this.#seedTargets(open, roots);
    if (this.#stopped()) return;
    this.#setReady(ready);
    await this.#release();
    this.#measureUsage();
    this.#running = true;
    this.#endWhenDone();
  }

  async #hold(launch: LaunchOptions, launcherPath: string): Promise<void> {
    const held = launch.held === undefined ? await holdCommand(launch, launcherPath) : await adoptCommand(launch.held);
    this.#held = held;
    void held.exited.then(() => this.#commandHasEnded());
    if (this.#stopped()) held.close();
  }

  /** Puts running processes into the traced set, and tells of them. */
  async #seed({ capture, descriptors, tls, readline }: OpenCapture, targets: Omit<Seeds, 'follow'>): Promise<Seeded[]> {
    const { identity, families } = this.#options;
    const seeded = seedTrees(capture, { ...targets, follow: this.#selection.follow });
    for (const { stat } of seeded) descriptors.learn(stat.pid);
    const events = existingEvents(seeded, { identity, processes: this.#processes });
    // The launched command has not begun: its own EXEC will tell what it is.
    const existing = events.filter((event) => event.pid !== this.#held?.pid);
    if (families.includes('process')) this.#emit(existing);
    for (const { pid } of existing) {
      readline?.lookAt(pid);
      const entry = hasIoUring(pid, descriptors.leaveOut) ? this.#processes.get(pid) : undefined;
      if (entry !== undefined) this.#noteIoUring(entry);
    }
    await Promise.all(existing.map((event) => tls?.lookAt(event.pid)));
    return seeded;
  }

  #join(pid: number): void {
    const open = this.#open;
    if (open !== null && !this.#closed) this.#guard(this.#seed(open, { roots: [], found: [pid] }));
  }

  async #seedTargets(open: OpenCapture, roots: readonly number[]): Promise<CaptureReady> {
    const held = this.#held;
    const seeded = await this.#seed(open, { roots: held === null ? roots : [held.pid, ...roots], found: findSelected(this.#selection) });
    return {
      traced: seeded.map(({ stat, root }) => ({ pid: stat.pid, comm: stat.comm, root: stat.pid === root })),
      probes: this.#probes,
    };
  }

  async #release(): Promise<void> {
    const held = this.#held;
    if (held === null) {
      this.#setExit(null);
      return;
    }
    await held.release();
    this.#setExit(held.exited);
  }

  #deliver(batch: Batch): void {
    const open = this.#open;
    if (open === null || this.#closed) return;
    this.#pass(open, open.decoder.decode(batch));
  }

  #pass(open: OpenCapture, decoded: Event[]): void {
    const events = this.#ownTrees.without(decoded);
    const { tls, readline } = open;
    if (tls !== null) for (const event of events) tls.observe(event);
    if (readline !== null) for (const event of events) readline.observe(event);
    this.#emit(this.#options.families.includes('process') ? events : events.filter((event) => event.source !== 'process'));
    this.#endWhenDone();
  }

  #emit(events: readonly Event[]): void {
    if (events.length > 0) this.#subscriber?.next(events);
  }

  #emitProbe(probe: ProbeData): void {
    if (this.#probes.length < LIMITS.tlsProbes) this.#probes.push(probe);
    this.#emit([probeEvent(probe, this.#options.identity)]);
    if (probe.status === 'suspect') this.#options.onSuspect?.(probe);
  }

  #noteIoUring(user: IoUringUser): void {
    const event = this.#ioUring.note(user);
    if (event !== null) this.#emit(this.#ownTrees.without([event]));
  }

  /** The first look begins the first interval. */
  #measureUsage(): void {
    const { usage } = this.#options;
    const sampler = this.#usage;
    if (usage == null || sampler === null) return;
    const look = () => this.#emit(this.#ownTrees.without([...sampler.look(this.#processes.live(), performance.now())]));
    look();
    this.#usageTimer = setInterval(look, usage.intervalMs);
  }

  #commandHasEnded(): void {
    this.#commandEnded = true;
    // Its last records may still be in the ring: they are drained before the tree is looked at.
    const open = this.#open;
    if (open !== null) this.#guard(open.capture.drain().then(() => this.#endWhenDone()));
  }

  /** What fails in the background ends the run, unless the run has ended already. */
  #guard(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #endWhenDone(): void {
    if (!this.#running || this.#ended !== null) return;
    const { launch, descendantGraceMs = DESCENDANT_GRACE_MS } = this.#options;
    const anyLeft = this.#processes.liveCount > 0;
    if (launch == null) {
      if (!anyLeft && !selectsProcesses(this.#selection)) this.#guard(this.#end());
    } else if (this.#commandEnded) {
      if (!anyLeft) this.#guard(this.#end());
      else this.#graceTimer ??= setTimeout(() => this.#guard(this.#end()), descendantGraceMs);
    }
  }

  /** Once a second: what was lost since, which sockets and who ended without our being told. */
  async #look(): Promise<void> {
    const open = this.#open;
    if (open === null || this.#closed) return;
    open.capture.sweep();
    this.#emitLosses(open.capture.kernelCounters());
    this.#emit(this.#ownTrees.without(open.decoder.settle()));
    this.#emitUnseen(open, false);
    const ended = endedUnseen(this.#processes.live(), this.#options.identity);
    if (ended.length === 0) return;
    await open.capture.drain();
    for (const entry of ended) this.#processes.retire(entry);
    this.#endWhenDone();
  }

  #emitLosses(counters: KernelCounters): void {
    this.#emit(this.#losses.look(counters).map((loss) => lossEvent(loss, this.#options.identity)));
  }

  #emitUnseen({ tls }: OpenCapture, all: boolean): void {
    this.#emit((tls?.takeUnseen(all) ?? []).map((unseen) => unseenEvent(unseen, this.#options.identity)));
  }

  #stopped(): boolean {
    return this.#ended !== null || this.#closed;
  }

  #end(): Promise<void> {
    this.#ended ??= this.#finish();
    return this.#ended;
  }

  async #finish(): Promise<void> {
    await this.#started;
    const open = this.#open;
    if (open !== null && !this.#closed) {
      open.capture.sweep();
      await open.capture.drain();
      await open.tls?.finish();
      if (!this.#closed) this.#pass(open, open.decoder.flush());
      this.#emit(this.#ownTrees.without(open.decoder.settle()));
      if (!this.#closed) this.#emitUnseen(open, true);
      if (!this.#closed) this.#emitLosses(open.capture.kernelCounters());
    }
    this.#close();
    this.#subscriber?.complete();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#failReady(error);
    this.#close();
    this.#subscriber?.error(error);
  }

  /** Frees everything at once; what is not drained is dropped. Safe twice. */
  #close(): void {
    if (this.#closed) return;
    const open = this.#open;
    if (open !== null) {
      this.#lastReport = this.tlsReport();
      this.#lastStats = this.stats();
    }
    this.#closed = true;
    if (this.#lookTimer !== null) clearInterval(this.#lookTimer);
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    if (this.#usageTimer !== null) clearInterval(this.#usageTimer);
    open?.tls?.close();
    open?.capture.close();
    this.#open = null;
    this.#held?.close();
    this.#setReady(null);
    this.#setExit(null);
  }
}
