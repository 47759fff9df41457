/**
 * The typed face of the native addon, and the only file that loads it.
 * native/README.md says what each call does in the kernel.
 */

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
   * returns, the batch no longer counts against queuedBytes.
   */
  start(onBatch: (batch: Batch) => void): void;
  /** Resolves when every record that is in the ring now has been given to onBatch. */
  drain(): Promise<void>;
  kernelCounters(): KernelCounters;
  counters(): AddonCounters;
  /** Detaches and frees everything. Safe twice. Records not yet drained are dropped. */
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
