/**
 * Finds the TLS libraries of traced processes and has them hooked.
 *
 * At the start the installed libraries are hooked. Of each process that
 * executes something, the program file is looked at at once, and what it has
 * mapped a little later and then ever more rarely: a library may be loaded at
 * any time (Python loads its own with the first `import ssl`). What no longer
 * runs is not looked at.
 */
import { resolve } from 'node:path';
import type { ProcessTable } from '../decode/process-table.ts';
import type { Event, ExecData, ProcessEvent } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { commandFiles } from './command-files.ts';
import { readExecutableMappings, readLink } from './proc.ts';
import type { TlsFile, TlsFiles } from './tls-files.ts';
import { createTlsReport, type TlsReportRow } from './tls-report.ts';
import { systemTlsLibraries } from './tls-system.ts';

/** The dynamic linker has mapped a program's libraries by then; most short programs have ended. */
const FIRST_SCAN_MS = 20;
/** Of a program never seen before the libraries are wanted sooner: it may be a client that ends in 20 ms. */
const NEW_PROGRAM_SCAN_MS = 2;
const SCAN_FACTOR = 3;
const LONGEST_SCAN_MS = 60_000;
const TICK_MS = 20;
/** At the end, so many that still run are looked at once more. */
const LAST_SCANS = 64;
/** One reading of /proc/PID/maps costs some 0.1 ms: this many keep the event loop free. */
const SCANS_PER_TICK = 16;

export interface TlsTargets {
  /** Hooks the installed libraries and these files. */
  attachInstalled(files: readonly string[]): void;
  /** A process that already runs: program and mappings at once. */
  lookAt(pid: number): void;
  /** Follows execs and exits, and counts what was captured of whom. */
  observe(event: Event): void;
  /** Looks a last time at whoever still runs. */
  report(): readonly TlsReportRow[];
  counters(): Readonly<Record<string, number>>;
  /** Safe twice. */
  close(): void;
}

interface Scan {
  dueMs: number;
  delayMs: number;
}

export function createTlsTargets(files: TlsFiles, processes: ProcessTable): TlsTargets {
  const scans = new Map<number, Scan>();
  /** Device and inode as /proc/PID/maps prints them, to the file: saves a stat for each library of each process. */
  const mapped = new Map<string, TlsFile>();
  const programs = new WeakSet<TlsFile>();
  const counters = new Counters(['scans', 'refused_scans']);
  const report = createTlsReport();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  function attachInstalled(paths: readonly string[]): void {
    for (const path of [...systemTlsLibraries(), ...paths]) files.look(path);
  }

  /** True when no process was seen to run this program before. */
  function lookAtProgram(pid: number): boolean {
    const path = readLink(`/proc/${pid}/exe`);
    const file = path === null ? null : files.look(path, `/proc/${pid}/exe`);
    see(pid, file);
    if (file === null || programs.has(file)) return false;
    programs.add(file);
    return true;
  }

  function scan(pid: number): boolean {
    counters.add('scans');
    const mappings = readExecutableMappings(pid);
    if (mappings === null) return false;
    for (const { file, path, reachable } of mappings) {
      const known = mapped.get(file) ?? files.look(path, reachable);
      if (known === null) continue;
      if (mapped.size >= LIMITS.tlsBinaries) mapped.clear();
      mapped.set(file, known);
      see(pid, known);
    }
    return true;
  }

  function see(pid: number, file: TlsFile | null): void {
    const process = processes.get(pid);
    if (file !== null && file.state !== 'none' && process !== undefined) report.library(process, file);
  }

  function markSeen(pid: number): void {
    const process = processes.get(pid);
    if (process !== undefined) report.seen(process.key, 'libraries');
  }

  /** Roots that were too fast for us: their files still tell what they would have loaded. */
  function lookAtEnded(): void {
    for (const { program, ...root } of report.unseen()) {
      const needed = files.lookAtNeeded(program);
      if (needed === null) continue;
      report.seen(root.key, 'program');
      for (const file of needed) if (file.state !== 'none') report.library(root, file);
    }
  }

  function schedule(pid: number): void {
    if (closed) return;
    if (!scans.has(pid) && scans.size >= LIMITS.tlsScans) {
      counters.add('refused_scans');
      return;
    }
    scans.set(pid, { dueMs: performance.now() + FIRST_SCAN_MS, delayMs: FIRST_SCAN_MS });
    timer ??= setInterval(tick, TICK_MS).unref();
  }

  function tick(): void {
    const nowMs = performance.now();
    let done = 0;
    for (const [pid, entry] of scans) {
      if (entry.dueMs > nowMs) continue;
      if (++done > SCANS_PER_TICK) break;
      if (!scan(pid)) {
        scans.delete(pid);
        continue;
      }
      markSeen(pid);
      entry.delayMs = Math.min(entry.delayMs * SCAN_FACTOR, LONGEST_SCAN_MS);
      entry.dueMs = nowMs + entry.delayMs;
    }
    if (scans.size === 0) stopTimer();
  }

  function stopTimer(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  }

  function lookAt(pid: number): void {
    const process = processes.get(pid);
    if (process !== undefined && process.key === process.session) report.root(process, null);
    lookAtProgram(pid);
    if (scan(pid)) markSeen(pid);
    schedule(pid);
  }

  function observeProcess({ data, pid, comm, process, session }: ProcessEvent): void {
    if (data.event === 'EXIT') scans.delete(pid);
    if (data.event !== 'EXEC' || data.existing) return;
    if (process !== null && process === session) report.root({ pid, comm, key: process, session }, programOf(data));
    if (lookAtProgram(pid)) {
      scan(pid);
      setTimeout(() => closed || scan(pid), NEW_PROGRAM_SCAN_MS).unref();
    }
    schedule(pid);
  }

  return {
    attachInstalled,
    lookAt,
    observe(event) {
      if (event.source === 'tls') report.chunk(event);
      else if (event.source === 'process') observeProcess(event);
    },
    report() {
      if (!closed) {
        for (const pid of [...scans.keys()].slice(0, LAST_SCANS)) if (scan(pid)) markSeen(pid);
        lookAtEnded();
      }
      return report.rows();
    },
    counters: () => ({ ...files.counters(), ...counters.snapshot(), omitted_rows: report.omitted }),
    close() {
      closed = true;
      stopTimer();
      scans.clear();
    },
  };
}

/** The file that was executed or, for a script, its interpreter. */
function programOf({ filename, cwd }: ExecData): string | null {
  return commandFiles(resolve(cwd, filename), { cwd, env: {} }).at(-1) ?? null;
}
