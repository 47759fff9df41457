/**
 * Where the kernel does not tell what is mapped: when to read /proc/PID/maps.
 * A little after each exec, and then ever more rarely, as a library may be
 * loaded at any time (Python loads its own with the first `import ssl`).
 */
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';

/** Of a client that ends in 20 ms the libraries are wanted at once. */
const FIRST_SCAN_MS = 2;
const SCAN_FACTOR = 3;
const LONGEST_SCAN_MS = 60_000;
const TICK_MS = 20;
/** One reading of /proc/PID/maps costs some 0.1 ms: this many keep the event loop free. */
const SCANS_PER_TICK = 16;

export interface TlsScans {
  /** The process has executed something, or was found running. */
  begin(pid: number): void;
  end(pid: number): void;
  pids(): readonly number[];
  counters(): Readonly<Record<string, number>>;
  /** Safe twice. */
  close(): void;
}

interface Scan {
  dueMs: number;
  delayMs: number;
}

/** `scan` says whether the process is still there. */
export function createTlsScans(scan: (pid: number) => boolean): TlsScans {
  const scans = new Map<number, Scan>();
  const counters = new Counters(['refused_scans']);
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  function begin(pid: number): void {
    if (closed) return;
    if (!scans.has(pid) && scans.size >= LIMITS.tlsScans) {
      counters.add('refused_scans');
      return;
    }
    scans.set(pid, { dueMs: performance.now() + FIRST_SCAN_MS, delayMs: FIRST_SCAN_MS });
    setTimeout(tick, FIRST_SCAN_MS).unref();
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
      entry.delayMs = Math.min(entry.delayMs * SCAN_FACTOR, LONGEST_SCAN_MS);
      entry.dueMs = nowMs + entry.delayMs;
    }
    if (scans.size === 0) stopTimer();
  }

  function stopTimer(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  }

  return {
    begin,
    end: (pid) => void scans.delete(pid),
    pids: () => [...scans.keys()],
    counters: () => counters.snapshot(),
    close() {
      closed = true;
      stopTimer();
      scans.clear();
    },
  };
}
