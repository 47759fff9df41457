/**
 * The file sink: appends the lines of each batch with one write, keeps them in
 * a bounded queue while the disk is slow or full, and turns the file over at a
 * size. Only whole lines stay in the file: what a failed write left is cut away.
 */
import { fdatasync, fstatSync, ftruncateSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { createChanges } from '../changes.ts';
import { causeText, errnoOf } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { closeFile, openOutputFile, rotateFiles, type FileOwner, type OutputFile } from './output-file.ts';
import type { EventBatch, Sink } from './sink.ts';

const writeAsync = promisify(write);
const syncAsync = promisify(fdatasync);

export interface JsonlOptions {
  readonly path: string;
  /** Who shall own a file that we create; us by default. */
  readonly owner?: FileOwner | undefined;
  /** Words for the user: that the disk is full, and that it is well again. */
  readonly onNotice: (message: string) => void;
  readonly rotateBytes?: number;
  readonly rotateKeep?: number;
  readonly queuedBytes?: number;
  readonly retryMs?: number;
  readonly closeMs?: number;
}

interface QueuedBatch {
  readonly jsonl: Buffer;
  readonly events: number;
}

/** Opens at once. Throws OUTPUT_UNWRITABLE. */
export function createJsonlSink(options: JsonlOptions): JsonlSink {
  return new JsonlSink(options);
}

class JsonlSink implements Sink {
  readonly name = 'file';
  readonly takes = 'lines';
  readonly #options: JsonlOptions;
  readonly #counters = new Counters(['events', 'bytes', 'refused', 'unwritten_bytes', 'rotations', 'failures']);
  readonly #rotateBytes: number;
  readonly #queuedBytesMax: number;
  #file: OutputFile;
  #queue: QueuedBatch[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | undefined;
  #failing = false;
  /** Refused events that the user was told of. */
  #refusedSaid = 0;
  #rotationRefused = false;
  #closing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  readonly #changes = createChanges();

  constructor(options: JsonlOptions) {
    this.#options = options;
    this.#rotateBytes = options.rotateBytes ?? LIMITS.fileRotateBytes;
    this.#queuedBytesMax = options.queuedBytes ?? LIMITS.fileQueuedBytes;
    this.#file = openOutputFile(options.path, options.owner);
  }

  write(batch: EventBatch): void {
    const { jsonl, count: events } = batch;
    if (this.#closing !== undefined || this.#queuedBytes + jsonl.length > this.#queuedBytesMax) {
      this.#refuse({ jsonl, events });
      return;
    }
    this.#queue.push({ jsonl, events });
    this.#queuedBytes += jsonl.length;
    this.#writing ??= this.#drain();
  }

  /** Resolves when half of the queue is free, at once if it is: a source that can wait should. */
  async ready(): Promise<void> {
    while (this.#queuedBytes * 2 > this.#queuedBytesMax && this.#closing === undefined) {
      await this.#changes.next();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  stats() {
    return { stage: this.name, counters: { ...this.#counters.snapshot(), queued_bytes: this.#queuedBytes } };
  }

  async #drain(): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        if (this.#file.sizeBytes > 0 && this.#file.sizeBytes + next.jsonl.length > this.#rotateBytes) this.#rotate();
        await this.#append(next.jsonl);
      } catch (cause) {
        this.#fail(cause);
        if (this.#closing !== undefined) break;
        await this.#pause();
        continue;
      }
      this.#queue.shift();
      this.#queuedBytes -= next.jsonl.length;
      this.#counters.add('events', next.events);
      this.#counters.add('bytes', next.jsonl.length);
      this.#recover();
      this.#changes.tell();
    }
    this.#writing = undefined;
  }

  /** All of it or nothing. */
  async #append(bytes: Buffer): Promise<void> {
    const file = this.#file;
    let done = 0;
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await writeAsync(file.fd, bytes, done, bytes.length - done, null);
        done += bytesWritten;
      }
    } catch (cause) {
      if (done > 0) cutBack(file, done);
      throw cause;
    }
    file.sizeBytes += bytes.length;
  }

  #rotate(): void {
    try {
      this.#file = rotateFiles(this.#file, this.#options.rotateKeep ?? LIMITS.fileRotateKeep, this.#options.owner);
      this.#counters.add('rotations');
      this.#rotationRefused = false;
    } catch (cause) {
      // Better one file over its size than events lost for a name.
      if (!this.#rotationRefused) this.#options.onNotice(`could not rotate ${this.#options.path}: ${causeText(cause)}; it grows on`);
      this.#rotationRefused = true;
    }
  }

  #fail(cause: unknown): void {
    this.#counters.add('failures');
    if (this.#failing) return;
    this.#failing = true;
    const reason = errnoOf(cause) === 'ENOSPC' ? 'no space left on the device' : causeText(cause);
    this.#options.onNotice(`could not write to ${this.#options.path}: ${reason}; events wait in memory, then are counted as lost, until it works again`);
  }

  #recover(): void {
    if (!this.#failing) return;
    this.#failing = false;
    const lost = this.#counters.get('refused') - this.#refusedSaid;
    this.#refusedSaid += lost;
    this.#options.onNotice(`writing to ${this.#options.path} again; ${lost} events were lost meanwhile`);
  }

  #refuse(batch: QueuedBatch): void {
    this.#counters.add('refused', batch.events);
    this.#counters.add('unwritten_bytes', batch.jsonl.length);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#options.retryMs ?? LIMITS.fileRetryMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #finish(): Promise<void> {
    this.#changes.tell();
    this.#wake?.();
    await Promise.race([this.#writing, timeout(this.#options.closeMs ?? LIMITS.fileCloseMs)]);
    const left = this.#queue.splice(0);
    for (const batch of left) this.#refuse(batch);
    if (left.length > 0) {
      const events = left.reduce((sum, batch) => sum + batch.events, 0);
      this.#options.onNotice(`could not write the last ${events} events to ${this.#options.path}: they are lost`);
    }
    this.#queuedBytes = 0;
    // A write that hangs still holds the descriptor; the process is about to end and frees it.
    if (this.#writing !== undefined && left.length > 0) return;
    await syncAsync(this.#file.fd).catch((cause: unknown) => {
      this.#options.onNotice(`could not flush ${this.#options.path} to the disk: ${causeText(cause)}`);
    });
    closeFile(this.#file);
  }
}

export type { JsonlSink };

/** Cuts the part of a batch that a failed write left, unless another writer has appended since. */
function cutBack(file: OutputFile, partBytes: number): void {
  try {
    const { size } = fstatSync(file.fd);
    if (size === file.sizeBytes + partBytes) ftruncateSync(file.fd, file.sizeBytes);
    else file.sizeBytes = size;
  } catch {
    // The disk refuses even this; the reader reports the cut line by its number.
    file.sizeBytes += partBytes;
  }
}

function timeout(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
