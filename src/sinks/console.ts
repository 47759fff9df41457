/**
 * The console sink: a readable line per event, or JSONL. It never waits for
 * its reader: what a slow one has not taken is bounded, and beyond it refused
 * and counted. A reader that has left (`| head`) ends the sink quietly.
 */
import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { createChanges } from '../changes.ts';
import { causeText, errnoOf } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { describeLine, type LineStyle } from './describe.ts';
import { isRoutine } from './routine.ts';
import type { EventBatch, Sink } from './sink.ts';

export interface ConsoleOptions {
  readonly stream: Writable;
  /** JSONL instead of sentences. */
  readonly json: boolean;
  /** For sentences. Asked at each batch, so that a resized terminal is respected. */
  readonly style?: () => LineStyle;
  /** For sentences: also what isRoutine() leaves out. */
  readonly routine?: boolean;
  /** The reader has gone, or the stream failed: once, with the reason unless it just left. */
  readonly onClosed: (failure: string | null) => void;
  readonly queuedBytes?: number;
  readonly closeMs?: number;
}

export function createConsoleSink(options: ConsoleOptions): Sink {
  return new ConsoleSink(options);
}

class ConsoleSink implements Sink {
  readonly name = 'console';
  readonly takes: Sink['takes'];
  readonly #options: ConsoleOptions;
  readonly #counters = new Counters(['events', 'refused']);
  readonly #queuedBytesMax: number;
  /** Batches that the stream has not taken yet. */
  #pending = 0;
  #ended = false;
  #closing: Promise<void> | undefined;
  readonly #changes = createChanges();

  constructor(options: ConsoleOptions) {
    this.#options = options;
    this.takes = options.json ? 'lines' : 'events';
    this.#queuedBytesMax = options.queuedBytes ?? LIMITS.consoleQueuedBytes;
    options.stream.on('error', (cause) => this.#end(errnoOf(cause) === 'EPIPE' ? null : causeText(cause)));
    options.stream.on('close', () => this.#end(null));
  }

  write(batch: EventBatch): void {
    // After its reader has left nobody misses an event: that is no loss.
    if (this.#ended) return;
    const { stream, json } = this.#options;
    if (this.#closing !== undefined || stream.writableLength >= this.#queuedBytesMax) {
      this.#counters.add('refused', batch.count);
      return;
    }
    this.#pending += 1;
    stream.write(json ? batch.jsonl : this.#sentences(batch), (failure) => {
      this.#pending -= 1;
      if (failure === null || failure === undefined) this.#counters.add('events', batch.count);
      this.#changes.tell();
    });
  }

  async ready(): Promise<void> {
    const { stream } = this.#options;
    while (!this.#ended && this.#closing === undefined && stream.writableLength * 2 > this.#queuedBytesMax) await this.#changes.next();
  }

  close(): Promise<void> {
    this.#closing ??= this.#flush();
    return this.#closing;
  }

  stats() {
    return { stage: this.name, counters: { ...this.#counters.snapshot(), queued_bytes: this.#options.stream.writableLength } };
  }

  #sentences(batch: EventBatch): string {
    const style = this.#options.style?.() ?? { colour: false, columns: null };
    const { routine = false } = this.#options;
    let text = '';
    for (const event of batch.events) if (routine || !isRoutine(event)) text += `${describeLine(event, style)}\n`;
    return text;
  }

  async #flush(): Promise<void> {
    this.#changes.tell();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changes.tell();
    }, this.#options.closeMs ?? LIMITS.consoleCloseMs);
    while (!this.#ended && !late && this.#pending > 0) await this.#changes.next();
    clearTimeout(timer);
  }

  #end(failure: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#changes.tell();
    this.#options.onClosed(failure);
  }
}

/** How lines look on a descriptor: colour only on a terminal and unless NO_COLOR is set (https://no-color.org). */
export function styleOf(fd: number, environment: NodeJS.ProcessEnv = process.env): LineStyle {
  if (!isatty(fd)) return { colour: false, columns: null };
  const noColour = environment['NO_COLOR'];
  const stream = fd === 2 ? process.stderr : process.stdout;
  const colour = (noColour === undefined || noColour === '') && environment['TERM'] !== 'dumb';
  return { colour, columns: stream.columns > 0 ? stream.columns : null };
}

const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
/** A terminal tells nobody when it takes bytes again. */
const TERMINAL_RETRY_MS = 10;

/**
 * A stream on our own descriptor that never blocks the thread. Node writes to
 * pipes and terminals synchronously, so a reader that pauses would pause the
 * capture. The descriptor is opened anew, because O_NONBLOCK on the inherited
 * one would also change it for the traced command and for the shell.
 */
export function openOutputStream(fd: number): Writable {
  const inherited = fd === 2 ? process.stderr : process.stdout;
  try {
    const pipe = fstatSync(fd).isFIFO();
    if (!pipe && !isatty(fd)) return inherited;
    const own = openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    return pipe ? new Socket({ fd: own, readable: false, writable: true }) : terminalStream(own);
  } catch {
    // /proc may be absent, or the terminal belong to another user: then it blocks, as it does everywhere.
    return inherited;
  }
}

function terminalStream(fd: number): Writable {
  const put = (bytes: Buffer, done: (failure?: Error | null) => void): void => {
    write(fd, bytes, (failure, written) => {
      if (failure !== null && errnoOf(failure) !== 'EAGAIN') return done(failure);
      const rest = failure === null ? bytes.subarray(written) : bytes;
      if (rest.length === 0) return done();
      if (failure === null) put(rest, done);
      else setTimeout(put, TERMINAL_RETRY_MS, rest, done);
    });
  };
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => put(chunk, done),
    destroy(failure, done) {
      closeSync(fd);
      done(failure);
    },
  });
}
