/**
 * Finds the TLS libraries of traced processes and has them hooked.
 *
 * At the start the installed libraries are hooked, and what the running
 * processes have mapped. From then on the kernel tells each file that a traced
 * process maps executable, at the moment it does: programs, libraries of their
 * start and those loaded later. Where it does not tell (perf_event_open is
 * refused), the maps of each process are read after its exec and then ever more
 * rarely.
 */
import { resolve } from 'node:path';
import type { Capture, MappedFile } from '../addon.ts';
import type { ProcessTable } from '../decode/process-table.ts';
import { AgentsightError } from '../errors.ts';
import type { Event, ExecData, NetEvent, ProbeData, ProcessEvent, TlsEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { commandFiles } from './command-files.ts';
import { namedPath, placeOf } from './mapped-file.ts';
import { readExecutableMappings, readLink, readStat } from './proc.ts';
import type { TlsFile, TlsFiles } from './tls-files.ts';
import { createTlsReport, type TlsReportRow, type UnseenTls } from './tls-report.ts';
import { createTlsScans } from './tls-scans.ts';
import { createSuspicion } from './tls-suspect.ts';
import type { LinkerPlace } from './tls-needed.ts';
import { systemTlsLibraries } from './tls-system.ts';

/** At the end, so many that still run are looked at once more. */
const LAST_SCANS = 64;

export interface TlsTargets {
  /** Hooks the installed libraries and these files. `place`: where the command's libraries are looked for. */
  attachInstalled(files: readonly string[], place: LinkerPlace | null): Promise<void>;
  /** A process that already runs: program and mappings at once. */
  lookAt(pid: number): Promise<void>;
  /** Follows execs and exits, and counts what was captured of whom. */
  observe(event: Event): void;
  /** What became of TLS so far. */
  report(): readonly TlsReportRow[];
  /** Processes that speak TLS of which no plaintext came, each once; at the end of a run all that are left. */
  takeUnseen(all: boolean): readonly UnseenTls[];
  /** Looks a last time at whoever still runs or was too fast for us. Before `report` at the end. */
  finish(): Promise<void>;
  /** The leader of a process is another thread than before. */
  onNewLeader(pid: number): void;
  counters(): Readonly<Record<string, number>>;
  /** Safe twice. */
  close(): void;
}

export interface TlsTargetsOptions {
  readonly files: TlsFiles;
  readonly processes: ProcessTable;
  readonly watchMappings: Capture['watchMappings'];
  /** A place that was hooked seems to be the wrong one. */
  readonly onSuspect: (probe: ProbeData) => void;
}

export function createTlsTargets({ files, processes, watchMappings, onSuspect }: TlsTargetsOptions): TlsTargets {
  /** By device and inode as the kernel says them: of a process that has ended nothing leads to its files any more. */
  const mapped = new Map<string, TlsFile>();
  /** TLS files of processes that no record has told of yet: a mapping can be faster than the fork. */
  const early = new Map<number, Set<TlsFile>>();
  const looks = new Set<Promise<void>>();
  let launchPlace: LinkerPlace | null = null;
  const counters = new Counters(['scans', 'unreachable', 'refused_early']);
  const report = createTlsReport();
  const suspicion = createSuspicion();
  const scans = tryToWatch() ? null : createTlsScans(scan);
  let lostSoFar = 0;
  let closed = false;

  function tryToWatch(): boolean {
    try {
      watchMappings(onMappings);
      return true;
    } catch (error) {
      if (error instanceof AgentsightError) return false;
      throw error;
    }
  }

  function onMappings(mappings: readonly MappedFile[], lost: number): void {
    if (closed) return;
    const only = files.onlyPid();
    // The kernel has nothing left to compare its new mappings with.
    if (only !== null && readStat(only)?.state === 'Z') hookForAll(only);
    for (const mapping of mappings) begin(lookAtMapped(mapping));
    if (lost === lostSoFar) return;
    lostSoFar = lost;
    // Whose mapping was lost is not known.
    for (const { pid } of processes.live()) scan(pid);
  }

  function hookForAll(pid: number): void {
    if (files.onlyPid() === null) return;
    files.hookForAll();
    mapped.clear();
    begin(hookInstalled([]));
    scan(pid);
    begin(lookAtProgram(pid));
  }

  async function hookInstalled(paths: readonly string[]): Promise<void> {
    await Promise.all([...systemTlsLibraries(), ...paths].map((path) => files.look(path)));
  }

  async function lookAtMapped(mapping: MappedFile): Promise<void> {
    const place = placeOf(mapping);
    const file = (place === null ? null : await files.look(namedPath(mapping), place)) ?? mapped.get(mapping.file) ?? null;
    if (file === null) {
      counters.add('unreachable');
      return;
    }
    if (mapped.size >= LIMITS.tlsBinaries) mapped.clear();
    mapped.set(mapping.file, file);
    see(mapping.pid, file);
  }

  async function lookAtProgram(pid: number): Promise<void> {
    const path = readLink(`/proc/${pid}/exe`);
    const file = path === null ? null : await files.look(path, `/proc/${pid}/exe`);
    if (file !== null) see(pid, file);
  }

  /** False when the process is gone. */
  function scan(pid: number): boolean {
    counters.add('scans');
    const mappings = readExecutableMappings(pid);
    if (mappings === null) return false;
    markSeen(pid);
    for (const mapping of mappings) begin(lookAtMapped(mapping));
    return true;
  }

  function begin(look: Promise<void>): void {
    const done = look.finally(() => looks.delete(done));
    looks.add(done);
  }

  function see(pid: number, file: TlsFile): void {
    if (file.state === 'none') return;
    const process = processes.get(pid);
    if (process !== undefined) report.library(process, file);
    else if (early.size < LIMITS.tlsScans) early.set(pid, (early.get(pid) ?? new Set()).add(file));
    else counters.add('refused_early');
  }

  function seeEarly(pid: number): void {
    const found = early.get(pid);
    if (found === undefined || processes.get(pid) === undefined) return;
    early.delete(pid);
    for (const file of found) see(pid, file);
  }

  function markSeen(pid: number): void {
    const process = processes.get(pid);
    if (process !== undefined) report.seen(process.key, 'libraries');
  }

  async function lookAt(pid: number): Promise<void> {
    const process = processes.get(pid);
    if (process !== undefined && process.key === process.session) report.root(process, null);
    scan(pid);
    scans?.begin(pid);
    await lookAtProgram(pid);
    await settled();
  }

  async function settled(): Promise<void> {
    while (looks.size > 0) await Promise.all(looks);
  }

  function observeProcess({ data, pid, comm, process, session }: ProcessEvent): void {
    seeEarly(pid);
    if (data.event === 'EXIT') {
      scans?.end(pid);
      early.delete(pid);
    }
    if (data.event === 'FORK' && process !== null) report.fork(data.parent, process);
    if (data.event !== 'EXEC' || data.existing) return;
    const isRoot = process !== null && process === session;
    if (isRoot) report.root({ pid, comm, key: process, session }, programOf(data));
    // What a process maps is told from the moment it is traced: one that its name brings into the set has mapped its program before.
    if (isRoot || scans !== null) begin(lookAtProgram(pid));
    if (scans === null) markSeen(pid);
    else scans.begin(pid);
  }

  function observeTls(event: TlsEvent): void {
    report.tls(event);
    if (event.process === null || event.data.event !== 'DATA' || event.data.position !== 0) return;
    for (const probe of suspicion.judge(event, report.filesOf(event.process))) onSuspect(probe);
  }

  /** What it speaks TLS with may have been mapped before we were told of mappings. */
  function lookAtSpeaker({ pid, process }: NetEvent): void {
    const program = readLink(`/proc/${pid}/exe`);
    if (process !== null && program !== null) report.program(process, program);
    scan(pid);
  }

  /** Roots that were too fast for the scans: their files still tell what they would have loaded. */
  async function lookAtEnded(): Promise<void> {
    for (const { program, ...root } of report.unseen()) {
      const needed = await files.lookAtNeeded(program, launchPlace);
      if (needed === null) continue;
      report.seen(root.key, 'program');
      for (const file of needed) if (file.state !== 'none') report.library(root, file);
    }
  }

  return {
    async attachInstalled(paths, place) {
      launchPlace = place;
      await hookInstalled(paths);
    },
    lookAt,
    onNewLeader: hookForAll,
    observe(event) {
      if (event.source === 'tls') observeTls(event);
      else if (event.source === 'net' && report.net(event)) lookAtSpeaker(event);
      else if (event.source === 'process') observeProcess(event);
    },
    report: () => report.rows(),
    takeUnseen: (all) => report.takeUnseen(performance.now(), all),
    async finish() {
      for (const pid of scans?.pids().slice(0, LAST_SCANS) ?? []) scan(pid);
      await settled();
      if (scans !== null) await lookAtEnded();
    },
    counters: () => ({ ...files.counters(), ...counters.snapshot(), ...scans?.counters(), omitted_rows: report.omitted, forgotten_greetings: report.forgottenGreetings }),
    close() {
      closed = true;
      files.close();
      scans?.close();
      early.clear();
    },
  };
}

/** The file that was executed or, for a script, its interpreter. */
function programOf({ filename, cwd }: ExecData): string | null {
  return commandFiles(resolve(cwd, filename), { cwd, env: {} }).at(-1) ?? null;
}
