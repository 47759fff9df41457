/**
 * The typed face of the native addon, and the only file that loads it.
 * native/README.md says what each call does in the kernel.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentsightError, causeText } from './errors.ts';

export type ProgramFamily = 'process' | 'tls' | 'stdio';

export interface CaptureOptions {
  readonly families: readonly ProgramFamily[];
  /** Power of two, in bytes. */
  readonly ringBytes: number;
  /** Payload kept of one call, in bytes. */
  readonly payloadBytesPerCall: number;
  /** stdio on every descriptor instead of 0, 1 and 2. */
  readonly allFds: boolean;
  /** Batches that may wait for JavaScript, in bytes; beyond it the ring fills and the kernel counts. */
  readonly queuedBytes: number;
}

/** A uprobe program of bpf/tls.bpf.c by name; `exit` ones attach to the return. */
export type UprobeProgram =
  | 'ssl_read_enter' | 'ssl_read_exit'
  | 'ssl_write_enter' | 'ssl_write_exit'
  | 'ssl_read_ex_enter' | 'ssl_read_ex_exit'
  | 'ssl_write_ex_enter' | 'ssl_write_ex_exit'
  | 'ssl_free_enter';

export interface UprobeTarget {
  readonly program: UprobeProgram;
  /** Opened once; the kernel then knows it by inode. /proc/PID/root/... reaches other mount namespaces. */
  readonly path: string;
  /** Offset in the file, in bytes. */
  readonly offset: number;
  /** One process, or every one that maps the inode. */
  readonly pid: number | null;
}

/** One row per counter source of bpf/event.h, one value per enum counter, summed over cpus. */
export type KernelCounters = readonly (readonly number[])[];

export interface AddonCounters {
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  /** Times the drain thread waited because JavaScript held queuedBytes. */
  readonly stalls: number;
}

/** Whole records of bpf/event.h back to back. Valid until released by garbage collection; never written again. */
export type Batch = Buffer;

export interface Capture {
  /**
   * Loads and attaches the programs of the families (not the uprobes).
   * Nothing is recorded before a process is traced.
   */
  load(): void;
  /** Puts a process into the traced set, as a descendant of `root` (itself for a root). */
  trace(pid: number, root: number): void;
  isTraced(pid: number): boolean;
  /** A process whose leader gets this name (15 bytes at most) at exec becomes a traced root. */
  traceComm(comm: string): void;
  /** Returns an id for detach. */
  attachUprobe(target: UprobeTarget): number;
  detachUprobe(id: number): void;
  /**
   * Starts the drain thread. `onBatch` runs on the JavaScript thread; when it
   * returns, the batch no longer counts against queuedBytes. What it throws is
   * an uncaught exception. Keeps the process alive until `close`.
   */
  start(onBatch: (batch: Batch) => void): void;
  /** Resolves when every record that is in the ring now has been given to onBatch, or at `close`. Throws before `start` and after `close`. */
  drain(): Promise<void>;
  kernelCounters(): KernelCounters;
  counters(): AddonCounters;
  /**
   * Detaches and frees everything. Safe twice, and from within onBatch. Records
   * not yet drained are dropped; both kinds of counters keep their last values.
   * Uprobes go in the background within some 0.1 s.
   */
  close(): void;
}

export interface ElfSymbol {
  readonly name: string;
  /** Offset in the file, what a uprobe wants. */
  readonly offset: number;
  readonly size: number;
}

export interface ElfInfo {
  /** Hex build id, or null. */
  readonly buildId: string | null;
  /** DT_NEEDED names. */
  readonly needed: readonly string[];
  readonly symbols: readonly ElfSymbol[];
}

export interface Addon {
  openCapture(options: CaptureOptions): Capture;
  /** Those of `names` that are defined in .dynsym or .symtab. Throws CAPTURE_UNREADABLE when it is no ELF file. */
  readElf(path: string, names: readonly string[]): ElfInfo;
  /** CLOCK_REALTIME minus CLOCK_BOOTTIME, in nanoseconds, sampled with an error under a microsecond. */
  bootClockOffsetNs(): bigint;
}

interface NativeModule {
  /** The native side throws instances of the class it is given. */
  bind(errorClass: typeof AgentsightError): Addon;
}

const BUILD_DIR = 'build/Release';

/**
 * Loads the native addon. Every call gives an equal face onto the same library;
 * worker threads call it for themselves. Throws ADDON_MISSING.
 */
export function loadAddon(): Addon {
  const path = join(packageRoot(), BUILD_DIR, 'agentsight.node');
  const native: unknown = requireAddon(path);
  if (!isNativeModule(native)) {
    throw addonMissing(path, 'it is not the addon of this version');
  }
  return native.bind(AgentsightError);
}

/** Path of the program that holds a launched command back until its tracer is ready. */
export function launcherPath(): string {
  return join(packageRoot(), BUILD_DIR, 'agentsight-launcher');
}

function requireAddon(path: string): unknown {
  try {
    return createRequire(import.meta.url)(path);
  } catch (cause) {
    throw addonMissing(path, existsSync(path) ? causeText(cause) : 'it is not built', cause);
  }
}

function addonMissing(path: string, why: string, cause?: unknown): AgentsightError {
  return new AgentsightError('ADDON_MISSING', `could not load ${path}: ${why}`, {
    cause,
    hint: 'build it with `npm run setup`',
  });
}

function isNativeModule(value: unknown): value is NativeModule {
  return typeof value === 'object' && value !== null && 'bind' in value && typeof value.bind === 'function';
}

/** This file runs from src/ and, built, from dist/src/: the package is the first folder above with a package.json. */
function packageRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const parent = dirname(dir);
    if (parent === dir) throw addonMissing(BUILD_DIR, 'there is no package.json above this program');
    dir = parent;
  }
  return dir;
}
