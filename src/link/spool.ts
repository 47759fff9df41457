/**
 * Batches on disk while the hub cannot take them: one folder per collector,
 * named after it, with `hello.json` (whose batches these are) and segments
 * named by their first sequence. A segment holds batch frames as the link
 * sends them; the last frame of a collector that was killed may be cut.
 *
 * Written without fsync: the spool is for a hub that is away, not for a power
 * failure. Reads and writes are synchronous, into and out of the page cache:
 * one segment costs a few milliseconds and only while the hub is behind.
 */
import {
  chownSync, closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, unlinkSync, writevSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { AgentsightError, errnoOf } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { batchHeader, createFrameDecoder, decodeFrame } from './codec.ts';
import type { Hello } from './protocol.ts';

export interface Batch {
  readonly sequence: number;
  readonly jsonl: Buffer;
  readonly events: number;
}

export interface SpoolOptions {
  /** Folder of all spools. */
  readonly spoolDir: string;
  readonly hello: Hello;
  /** Who shall own what we write: the user of the data directory. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly maxBytes?: number;
  readonly segmentBytes?: number;
}

interface Segment {
  readonly path: string;
  bytes: number;
  events: number;
  last: number;
}

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
export const HELLO_FILE = 'hello.json';
const SEGMENT = /^\d{16}\.segment$/;
const NEWLINE = 0x0a;

/** A first-in first-out queue of batches. Nothing is on disk before the first `append`. */
export class Spool {
  readonly dir: string;
  readonly #options: SpoolOptions;
  /** Oldest first; the newest may still be open. */
  readonly #waiting: Segment[] = [];
  /** Read back, not yet acknowledged. */
  readonly #loaded: Segment[] = [];
  #open: { readonly segment: Segment; readonly fd: number } | undefined;
  #made = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.dir = join(options.spoolDir, options.hello.collector);
  }

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  get bytes(): number {
    return [...this.#loaded, ...this.#waiting].reduce((sum, segment) => sum + segment.bytes, 0);
  }

  get events(): number {
    return this.#waiting.reduce((sum, segment) => sum + segment.events, 0);
  }

  get oldestBytes(): number {
    return this.#waiting[0]?.bytes ?? 0;
  }

  /** Returns how many events were dropped with the oldest segments to make room. Throws when the disk refuses. */
  append(batch: Batch): number {
    const { segment, fd } = this.#openFor(batch.sequence);
    appendWhole(fd, segment, batch);
    if (segment.bytes >= (this.#options.segmentBytes ?? LIMITS.spoolSegmentBytes)) this.#seal();
    return this.#dropOldest();
  }

  /** Batches that are older than all that is here, as at close: a segment of their own, before the others. */
  prepend(batches: readonly Batch[]): void {
    const [first] = batches;
    if (first === undefined) return;
    this.#make();
    const { segment, fd } = this.#create(first.sequence);
    try {
      for (const batch of batches) appendWhole(fd, segment, batch);
    } finally {
      closeSync(fd);
    }
    this.#waiting.unshift(segment);
  }

  /** The batches of the oldest segment, which stays on disk until `release`. */
  load(): { batches: Batch[]; lostEvents: number } {
    const segment = this.#waiting[0];
    if (segment === undefined) return { batches: [], lostEvents: 0 };
    if (this.#open?.segment === segment) this.#seal();
    this.#waiting.shift();
    this.#loaded.push(segment);
    const batches = readSegment(segment.path);
    const events = batches.reduce((sum, batch) => sum + batch.events, 0);
    return { batches, lostEvents: Math.max(segment.events - events, 0) };
  }

  /** Everything up to `sequence` is stored. */
  release(sequence: number): void {
    while (this.#loaded[0] !== undefined && this.#loaded[0].last <= sequence) removeFile((this.#loaded.shift() as Segment).path);
  }

  /** Segments that are still loaded are kept as well: a later collector delivers them. */
  close({ keep }: { readonly keep: boolean }): void {
    this.#seal();
    if (!keep && this.#made) rmSync(this.dir, { recursive: true, force: true });
  }

  #openFor(sequence: number): { readonly segment: Segment; readonly fd: number } {
    if (this.#open !== undefined) return this.#open;
    this.#make();
    this.#open = this.#create(sequence);
    this.#waiting.push(this.#open.segment);
    return this.#open;
  }

  #create(sequence: number): { segment: Segment; fd: number } {
    const path = join(this.dir, `${String(sequence).padStart(16, '0')}.segment`);
    const fd = createFile(path);
    this.#give(path);
    return { segment: { path, bytes: 0, events: 0, last: 0 }, fd };
  }

  #seal(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #dropOldest(): number {
    let dropped = 0;
    while (this.bytes > (this.#options.maxBytes ?? LIMITS.spoolBytes)) {
      const oldest = this.#waiting[0];
      if (oldest === undefined || oldest === this.#open?.segment) break;
      this.#waiting.shift();
      removeFile(oldest.path);
      dropped += oldest.events;
    }
    return dropped;
  }

  #make(): void {
    if (this.#made) return;
    const { spoolDir, hello } = this.#options;
    if (mkdirSync(spoolDir, { recursive: true, mode: 0o700 }) !== undefined) this.#give(spoolDir);
    mkdirSync(this.dir, { mode: 0o700 });
    try {
      writeHello(this.dir, hello);
      this.#give(join(this.dir, HELLO_FILE));
      this.#give(this.dir);
    } catch (cause) {
      // On a full disk: without its hello nobody could deliver what came later, so the next batch begins anew.
      rmSync(this.dir, { recursive: true, force: true });
      throw cause;
    }
    this.#made = true;
  }

  #give(path: string): void {
    const { owner } = this.#options;
    if (owner !== undefined && process.getuid?.() === 0 && owner.uid !== 0) chownSync(path, owner.uid, owner.gid);
  }
}

/** Segments of a spool folder, oldest first. */
export function listSegments(dir: string): string[] {
  return readdirSync(dir).filter((name) => SEGMENT.test(name)).sort().map((name) => join(dir, name));
}

/** Whole batches of a segment. What follows a cut or garbled frame cannot be told apart and is left. */
export function readSegment(path: string): Batch[] {
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW);
  try {
    if (!fstatSync(fd).isFile()) throw new AgentsightError('LINK_PROTOCOL', `could not read ${path}: it is not a regular file`);
    return parseSegment(readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

export function writeHello(dir: string, hello: Hello): void {
  const path = join(dir, HELLO_FILE);
  const fd = createFile(path);
  try {
    writevSync(fd, [Buffer.from(JSON.stringify(hello))]);
  } finally {
    closeSync(fd);
  }
}

export function countLines(jsonl: Buffer): number {
  let lines = 0;
  for (let at = jsonl.indexOf(NEWLINE); at >= 0; at = jsonl.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}

function parseSegment(bytes: Buffer): Batch[] {
  const decoder = createFrameDecoder();
  const batches: Batch[] = [];
  try {
    for (const frame of decoder.push(bytes)) {
      const message = decodeFrame(frame);
      if (message.kind === 'batch') batches.push({ sequence: message.sequence, jsonl: message.jsonl, events: countLines(message.jsonl) });
    }
  } catch (cause) {
    if (!(cause instanceof AgentsightError)) throw cause;
  }
  return batches;
}

/** All of a batch or nothing: half a frame would hide the ones after it. */
function appendWhole(fd: number, segment: Segment, batch: Batch): void {
  const header = batchHeader(batch.sequence, batch.jsonl.length);
  const wanted = header.length + batch.jsonl.length;
  const cutBack = (): void => ftruncateSync(fd, segment.bytes);
  let written = 0;
  try {
    while (written < wanted) {
      const rest = written < header.length
        ? [header.subarray(written), batch.jsonl]
        : [batch.jsonl.subarray(written - header.length)];
      written += writevSync(fd, rest);
    }
  } catch (cause) {
    cutBack();
    throw cause;
  }
  segment.bytes += wanted;
  segment.events += batch.events;
  segment.last = batch.sequence;
}

function createFile(path: string): number {
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    // Somebody cleaned up; gone is what we wanted.
    if (errnoOf(cause) !== 'ENOENT') throw new AgentsightError('DATA_DIR_UNUSABLE', `could not delete ${path} in ${dirname(path)}`, { cause });
  }
}
