/**
 * The typed face of the native addon, and the only file that loads it.
 * native/README.md says what each call does in the kernel.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentsightError, causeText } from './errors.ts';
import { LIMITS } from './limits.ts';

export type ProgramFamily = 'process' | 'file' | 'net' | 'tls' | 'stdio' | 'signal' | 'readline';

/**
 * Which processes become traced roots by themselves, at exec or when they
 * enter a control group, and what of the traced ones is kept. Of one kind any
 * will do (a control group and a container are one kind), of several kinds all
 * must fit. bpf/shared.h has the limits; beyond them the options are refused.
 */
export interface Selection {
  /** Names of the thread-group leader, 15 bytes at most. */
  readonly comms: readonly string[];
  /** Paths of the files that run, as the process sees them, links resolved. */
  readonly exes: readonly string[];
  /** Paths of control groups without the mount point; those below are meant, too. */
  readonly cgroups: readonly string[];
  /** Ids of containers, or how they begin. */
  readonly containers: readonly string[];
  readonly uids: readonly number[];
  /** Children of traced processes are traced. */
  readonly follow: boolean;
  /** Traffic of other ports, at either end, is dropped; none: all is kept. */
  readonly ports: readonly number[];
}

/** No process by itself, everything of those that are traced. */
export const NO_SELECTION: Selection = {
  comms: [], exes: [], cgroups: [], containers: [], uids: [], follow: true, ports: [],
};

export interface CaptureOptions {
  readonly families: readonly ProgramFamily[];
  /** Power of two, in bytes. */
  readonly ringBytes: number;
  /** Payload kept of one call, in bytes. */
  readonly payloadBytesPerCall: number;
  /** The same for stdio alone. */
  readonly stdioBytesPerCall: number;
  /** stdio on these descriptors, each under 1024. */
  readonly fds: readonly number[];
  /** stdio on every descriptor, whatever `fds` says. */
  readonly allFds: boolean;
  /** Ports whose connections are taken for plain HTTP whatever their first bytes are; 8 at most. */
  readonly plainPorts: readonly number[];
  readonly selection: Selection;
  /** Batches that may wait for JavaScript, in bytes; beyond it the ring fills and the kernel counts. */
  readonly queuedBytes: number;
  /** Does as on a kernel before 6.3, which has no tracepoints of sockets: for tests of the fallback. */
  readonly ignoreSocketTracepoints?: boolean;
}

/** What a capture is opened with unless somebody asked for something else. */
export const CAPTURE_DEFAULTS: Omit<CaptureOptions, 'families'> = {
  ringBytes: LIMITS.ringBytes,
  payloadBytesPerCall: LIMITS.payloadBytesPerCall,
  stdioBytesPerCall: LIMITS.payloadBytesPerCall,
  queuedBytes: LIMITS.addonQueuedBytes,
  fds: [0, 1, 2],
  allFds: false,
  plainPorts: [],
  selection: NO_SELECTION,
};

/** A uprobe program by name, of bpf/{tls,go,aead,readline}.bpf.c; `exit` ones attach to the return. */
export const UPROBE_PROGRAMS = [
  'ssl_read_enter', 'ssl_read_exit', 'ssl_write_enter', 'ssl_write_exit', 'ssl_read_ex_enter', 'ssl_read_ex_exit',
  'ssl_write_ex_enter', 'ssl_write_ex_exit', 'ssl_up_ref_enter', 'ssl_free_enter', 'handshake_enter', 'handshake_exit',
  'nspr_read_enter', 'nspr_recv_enter', 'nspr_write_enter', 'go_read_enter', 'go_read_return', 'go_write_enter',
  'go_close_enter', 'aead_seal_enter', 'aead_seal_scatter_enter', 'aead_open_enter', 'aead_open_exit',
  'ring_seal_enter', 'ring_open_enter', 'ring_open_old_enter', 'ring_open_exit', 'readline_exit',
] as const;

export type UprobeProgram = (typeof UPROBE_PROGRAMS)[number];

export interface UprobeTarget {
  readonly program: UprobeProgram;
  /** Opened once; the kernel then knows it by inode. /proc/PID/root/... reaches other mount namespaces. */
  readonly path: string;
  /** Offset in the file, in bytes. */
  readonly offset: number;
  /** One process, or every one that maps the inode. */
  readonly pid: number | null;
  /** What the program is told of this place. For TLS of C libraries: enum tls_library of bpf/event.h. */
  readonly cookie: number;
}

/** What the programs counted on one cpu. */
export interface CpuCounters {
  readonly cpu: number;
  /** Numbers given to records there, delivered or not. */
  readonly records: number;
  /** As bpf/counters.h says: source * COUNTERS_PER_SOURCE + counter. */
  readonly values: Float64Array;
}

/** Of the cpus that counted anything, by their number. */
export type KernelCounters = readonly CpuCounters[];

/** A file that a traced process has mapped executable: its program, a library, the dynamic linker. */
export interface MappedFile {
  readonly pid: number;
  /** `<device>:<inode>` as /proc/PID/maps prints them. */
  readonly file: string;
  /** As the process sees it; ends in ` (deleted)` where that is so. */
  readonly path: string;
  /** Its name in /proc/PID/map_files, as long as it stays mapped like this. */
  readonly range: string;
}

export interface AddonCounters {
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  /** Times the drain thread waited because JavaScript held queuedBytes. */
  readonly stalls: number;
  /** Files given to onMappings. */
  readonly mappings: number;
  /** Mappings of any process that were not told: a ring of the kernel or our queue was full. */
  readonly mappings_lost: number;
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
  /** Returns an id for detach. */
  attachUprobe(target: UprobeTarget): number;
  detachUprobe(id: number): void;
  /**
   * Reports what the kernel's programs hold, as records to be drained: bytes of files that were not told yet, and
   * the end of sockets that ended in another way than by a close that was seen.
   */
  sweep(): void;
  /**
   * Starts the drain thread. `onBatch` runs on the JavaScript thread; when it
   * returns, the batch no longer counts against queuedBytes. What it throws is
   * an uncaught exception. Keeps the process alive until `close`.
   */
  start(onBatch: (batch: Batch) => void): void;
  /**
   * Tells each file that a traced process maps executable, within some
   * milliseconds; `lost` is mappings_lost so far. Throws PRIVILEGE_MISSING or
   * KERNEL_UNSUPPORTED where the kernel does not tell. What `onMappings` throws is
   * an uncaught exception. Once per capture; ends with `close`.
   */
  watchMappings(onMappings: (mappings: readonly MappedFile[], lost: number) => void): void;
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
  /** DT_RPATH and DT_RUNPATH as they stand: where the dynamic linker looks for these. */
  readonly rpath: string | null;
  readonly runpath: string | null;
  readonly symbols: readonly ElfSymbol[];
}

/** What newer kernels have. Where one lacks it something else stands in: native/README.md says what. */
export interface KernelFeatures {
  /** Linux 6.3. */
  readonly socketTracepoints: boolean;
  /** Linux 6.6. Needs the privilege to load programs: false without it. */
  readonly uprobeMulti: boolean;
}

export interface Addon {
  openCapture(options: CaptureOptions): Capture;
  /** Those of `names` that are defined in .dynsym or .symtab. Throws CAPTURE_UNREADABLE when it is no ELF file. */
  readElf(path: string, names: readonly string[]): ElfInfo;
  kernelFeatures(): KernelFeatures;
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
