/**
 * A capture as a source of events: a JSONL file or stdin, read in bounded
 * memory and as fast as whoever takes the events allows.
 *
 * A line that cannot be read (cut in half by a full disk, not JSON, of an
 * unknown source) is named by its number, counted and left out; the rest goes on.
 */
import { open } from 'node:fs/promises';
import { Observable, type Subscriber } from 'rxjs';
import { AgentsightError, causeText } from '../errors.ts';
import type { Event, HttpData } from '../event.ts';
import { parseLine } from '../event-parse.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import type { Runner } from './runner.ts';

export interface ReplayOptions {
  /** File, or `-` for stdin. */
  readonly path: string;
  /** Words for the user about lines that were left out. */
  readonly onNotice: (text: string) => void;
  /** Resolves when more events may come: a replay, unlike a kernel, can wait. */
  readonly ready?: () => Promise<void>;
}

/** Lines left out are named one by one up to here, then only counted. */
const NAMED_LINES = 20;
const READ_BYTES = 256 * 1024;

export function createReplayRunner(options: ReplayOptions): Runner {
  const counters = new Counters(['lines', 'events', 'bad_lines', 'long_lines']);
  const stopping = new AbortController();
  let ended: Promise<void> = Promise.resolve();

  async function run(subscriber: Subscriber<readonly Event[]>): Promise<void> {
    try {
      for await (const lines of linesOf(options.path, stopping.signal)) {
        const events = lines.flatMap((line) => readEvent(line));
        if (events.length > 0) subscriber.next(events);
        await options.ready?.();
        if (subscriber.closed) return;
      }
      sayHowMany();
      subscriber.complete();
    } catch (error) {
      subscriber.error(error);
    }
  }

  function readEvent({ number, text }: Line): Event[] {
    counters.add('lines');
    if (text === null) {
      counters.add('long_lines');
      leaveOut(number, `it is longer than ${LIMITS.replayLineBytes} bytes`);
      return [];
    }
    try {
      const event = parseLine(text);
      counters.add('events');
      return [event];
    } catch (error) {
      if (!(error instanceof AgentsightError)) throw error;
      leaveOut(number, error.message.replace('could not read an event: ', ''));
      return [];
    }
  }

  function leaveOut(line: number, reason: string): void {
    counters.add('bad_lines');
    if (counters.get('bad_lines') <= NAMED_LINES) options.onNotice(`line ${line} of ${nameOf(options.path)} is left out: ${reason}`);
  }

  function sayHowMany(): void {
    const unnamed = counters.get('bad_lines') - NAMED_LINES;
    if (unnamed > 0) options.onNotice(`${unnamed} more lines of ${nameOf(options.path)} are left out`);
  }

  return {
    batches: new Observable((subscriber) => {
      ended = run(subscriber);
    }),
    stop() {
      stopping.abort();
      return ended;
    },
    stats: () => [{ stage: 'replay', counters: counters.snapshot() }],
  };
}

/** What a replay does with the connections whose chunks of plaintext are in the capture. */
export interface CapturePlan {
  /** Their exchanges are made anew from the chunks. */
  readonly recompute: ReadonlySet<string>;
  /** A redacted capture has no compressed bodies and messages, so what was recorded of these stays; nothing is made of their chunks. */
  readonly recorded: ReadonlySet<string>;
}

/** stdin can be read only once: its derived events pass. */
export async function scanCapture(path: string): Promise<CapturePlan> {
  const seen = { chunks: new Set<string>(), coded: new Set<string>() };
  if (path !== '-') {
    for await (const lines of linesOf(path)) {
      for (const { text } of lines) {
        if (text !== null && /"source":"(?:tls|net|http|websocket)"/.test(text)) see(text, seen);
      }
    }
  }
  return { recompute: new Set([...seen.chunks].filter((connection) => !seen.coded.has(connection))), recorded: seen.coded };
}

function see(text: string, { chunks, coded }: { readonly [Name in 'chunks' | 'coded']: Set<string> }): void {
  try {
    const { source, data } = parseLine(text);
    if (source === 'http' && (data.request_body_coding !== null || data.response_body_coding !== null)) coded.add(data.connection);
    if (source === 'http' && isDecoded(data)) coded.add(data.connection);
    if (source === 'websocket' && data.compressed) coded.add(data.connection);
    if ((source === 'tls' || source === 'net') && data.event === 'DATA') chunks.add(data.connection);
  } catch {
    // The replay itself will name the line.
  }
}

/** Messages of a call were: in the bodies of a redacted capture they are masked whole. */
function isDecoded({ grpc }: HttpData): boolean {
  return grpc !== null && [...grpc.request_messages, ...grpc.response_messages].some(({ compressed, fields }) => compressed && fields !== null);
}

interface Line {
  /** From 1. */
  readonly number: number;
  /** null: longer than the limit. */
  readonly text: string | null;
}

/** Lines in batches of what one read brought. Throws CAPTURE_UNREADABLE. */
async function* linesOf(path: string, signal?: AbortSignal): AsyncGenerator<readonly Line[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let tooLong = false;
  let number = 0;

  const take = (end: Buffer): Line => {
    number += 1;
    const text = tooLong ? null : Buffer.concat([...rest, end]).toString('utf8');
    rest = [];
    restBytes = 0;
    tooLong = false;
    return { number, text };
  };

  for await (const chunk of chunksOf(path)) {
    if (signal?.aborted === true) return;
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = take(chunk.subarray(start, end));
      if (line.text !== '') lines.push(line);
      start = end + 1;
    }
    const tail = chunk.subarray(start);
    restBytes += tail.length;
    tooLong ||= restBytes > LIMITS.replayLineBytes;
    if (tooLong) rest = [];
    else if (tail.length > 0) rest.push(tail);
    if (lines.length > 0) yield lines;
  }
  if (restBytes > 0) yield [take(Buffer.alloc(0))];
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  if (path === '-') {
    for await (const chunk of process.stdin) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    return;
  }
  try {
    const file = await open(path);
    try {
      for (;;) {
        // A buffer of its own for each read: the rest of a line stays a view of it.
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof AgentsightError) throw cause;
    throw new AgentsightError('CAPTURE_UNREADABLE', `could not read ${path}: ${causeText(cause)}`, {
      cause, hint: 'give a file that was written with -o, or - for stdin',
    });
  }
}

function nameOf(path: string): string {
  return path === '-' ? 'stdin' : path;
}
