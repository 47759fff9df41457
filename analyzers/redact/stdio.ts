/**
 * Secrets in stdio, over the borders of calls too. Chunks of one process, file and direction wait while the line that they
 * end in is not over, but not for long, and leave in their order. Of a line that has left in part, what came of it is
 * looked at again with each later part: only what left before anybody could know a secret by it stays readable.
 *
 * Not covered: secrets that go on in another line, but for blocks of private keys.
 */
import type { ProcessKey, SecretMarks, StdioEvent } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import { type Range, masked, secretsOf } from '../http/mask.ts';
import { tailOf } from './tail.ts';

export interface StdioLimits {
  readonly stdioOpenLines: number;
  readonly stdioLineBytes: number;
  readonly stdioHeldBytes: number;
  readonly stdioHeldMs: number;
}

export interface StdioOptions {
  readonly limits: StdioLimits;
  locate(bytes: Buffer): readonly Range[];
  count(name: 'stdio_lines_forgotten' | 'stdio_held_full' | 'masked_events' | 'masked_secrets', count: number): void;
  /** In the order of its stream. `marks`: of what was masked in it. */
  emit(event: StdioEvent, marks: SecretMarks): void;
}

export interface StdioSecrets {
  readonly isWaiting: boolean;
  take(event: StdioEvent): void;
  /** Lets go what has waited for too long at this time. */
  expire(now: Nanoseconds): void;
  /** Lets go what has waited since before the last tick. */
  tick(): void;
  endProcess(process: ProcessKey | null): void;
  /** Lets everything go. */
  flush(): void;
}

/** A line that is not over, or a block of a private key. */
interface Line {
  readonly key: string;
  readonly process: ProcessKey | null;
  /** What has left of it, as it was. */
  tail: Buffer;
  held: StdioEvent[];
  heldBytes: number;
  since: Nanoseconds;
  ticks: number;
  /** Where in its call the next chunk begins; 0 after the last of it. */
  next: number;
}

const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

export function createStdioSecrets({ limits, locate, count, emit }: StdioOptions): StdioSecrets {
  /** Oldest first. */
  const lines = new Map<string, Line>();
  /** Those that hold chunks, longest first. */
  const waiting = new Set<Line>();
  let heldBytes = 0;

  function take(event: StdioEvent): void {
    const { data } = event;
    const key = `${event.process ?? event.pid} ${data.target} ${data.direction}`;
    const known = lines.get(key);
    const isBroken = data.fault || data.withheld !== undefined;
    if (known !== undefined && (isBroken || data.offset !== known.next)) end(known);
    const bytes = bytesOf(data.payload);
    const line = lines.get(key);
    if (line === undefined && (isBroken || bytes.at(-1) === LF)) takeWhole(event, key, bytes);
    else if (bytes.length === 0) emit(event, []);
    else add(line ?? open(event, key, NOTHING), event, bytes);
  }

  /** Nothing of it belongs to what came before. */
  function takeWhole(event: StdioEvent, key: string, bytes: Buffer): void {
    const ranges = locate(bytes);
    put(event, bytes, ranges);
    const tail = event.data.fault ? NOTHING : tailOf(bytes, bytes.length, ranges);
    if (tail.length > 0) open(event, key, tail).next = nextOf(event.data);
  }

  function open(event: StdioEvent, key: string, tail: Buffer): Line {
    const oldest = lines.size < limits.stdioOpenLines ? undefined : lines.values().next().value;
    if (oldest !== undefined) {
      count('stdio_lines_forgotten', 1);
      end(oldest);
    }
    const line: Line = { key, process: event.process, tail, held: [], heldBytes: 0, since: event.timestamp, ticks: 0, next: 0 };
    lines.set(key, line);
    return line;
  }

  function add(line: Line, event: StdioEvent, bytes: Buffer): void {
    line.next = nextOf(event.data);
    hold(line, event);
    if (bytes.at(-1) === LF) release(line, line.held.length);
    else if (bytes.includes(LF)) release(line, line.held.length - 1);
    else if (line.heldBytes > limits.stdioLineBytes) release(line, firstHalf(line));
    ownLast(line);
    if (heldBytes <= limits.stdioHeldBytes) return;
    count('stdio_held_full', 1);
    for (const one of waiting) release(one, one.held.length);
  }

  function hold(line: Line, event: StdioEvent): void {
    if (line.held.length === 0) wait(line, event);
    line.held.push(event);
    line.heldBytes += event.data.len;
    heldBytes += event.data.len;
  }

  function wait(line: Line, { timestamp }: StdioEvent): void {
    line.since = timestamp;
    line.ticks = 0;
    waiting.add(line);
  }

  /** The first `number` chunks leave. What follows them, up to the end of the line, tells what is in them. */
  function release(line: Line, number: number): void {
    if (number === 0) return;
    const leaving = line.held.splice(0, number);
    const before = leaving.map(({ data }) => bytesOf(data.payload));
    const text = Buffer.concat([line.tail, ...before, ...aheadOf(line.held)]);
    const ranges = locate(text);
    const rangesOf = inOrder(ranges);
    let at = line.tail.length;
    for (const [index, event] of leaving.entries()) {
      const bytes = before[index] as Buffer;
      put(event, bytes, rangesOf(at, at + bytes.length));
      at += bytes.length;
      line.heldBytes -= bytes.length;
      heldBytes -= bytes.length;
    }
    line.tail = tailOf(text, at, ranges);
    waiting.delete(line);
    const [next] = line.held;
    if (next !== undefined) wait(line, next);
    else if (line.tail.length === 0) lines.delete(line.key);
  }

  /** With its own ranges masked. */
  function put(event: StdioEvent, bytes: Buffer, ranges: readonly Range[]): void {
    const payload = masked(bytes, ranges);
    // What a capture has masked stays as it is.
    if (payload === bytes || payload.equals(bytes)) {
      emit(event, []);
      return;
    }
    count('masked_events', 1);
    count('masked_secrets', ranges.length);
    emit({ ...event, data: { ...event.data, payload } }, secretsOf(ranges));
  }

  function end(line: Line): void {
    release(line, line.held.length);
    lines.delete(line.key);
  }

  return {
    get isWaiting() {
      return waiting.size > 0;
    },
    take,
    expire(now) {
      for (const line of waiting) {
        if (differenceMs(now, line.since) < limits.stdioHeldMs) return;
        release(line, line.held.length);
      }
    },
    tick() {
      for (const line of waiting) {
        if (line.ticks++ > 0) release(line, line.held.length);
      }
    },
    endProcess(process) {
      for (const line of lines.values()) if (line.process === process) end(line);
    },
    flush() {
      for (const line of lines.values()) end(line);
    },
  };
}

/** Asked for one part of a text after another: the ranges in it, from where it begins. */
function inOrder(ranges: readonly Range[]): (start: number, end: number) => Range[] {
  let first = 0;
  return (start, end) => {
    const own: Range[] = [];
    while ((ranges[first]?.end ?? Infinity) <= start) first++;
    for (let i = first; (ranges[i]?.start ?? Infinity) < end; i++) {
      const range = ranges[i] as Range;
      own.push({ ...range, start: Math.max(range.start, start) - start, end: Math.min(range.end, end) - start });
    }
    return own;
  };
}

/** So many chunks that half of what may wait is left; the last stays. */
function firstHalf({ held, heldBytes }: Line): number {
  let left = heldBytes;
  let number = 0;
  while (number < held.length - 1 && left * 2 > heldBytes) left -= (held[number++] as StdioEvent).data.len;
  return number;
}

/** The rest of the line that these chunks begin in the middle of. */
function aheadOf(held: readonly StdioEvent[]): Buffer[] {
  const ahead: Buffer[] = [];
  for (const { data } of held) {
    const bytes = bytesOf(data.payload);
    const newline = bytes.indexOf(LF);
    ahead.push(newline === -1 ? bytes : bytes.subarray(0, newline + 1));
    if (newline !== -1) break;
  }
  return ahead;
}

/** Of a call of which only the first bytes are kept, what follows them never comes: the next call then begins anew. */
function nextOf({ offset, len, total }: StdioEvent['data']): number {
  return offset + len < total ? offset + len : 0;
}

function bytesOf(payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** Of a chunk that stays: a view into its batch would keep the whole batch alive. */
function ownLast({ held }: Line): void {
  const event = held.at(-1);
  if (event !== undefined) held[held.length - 1] = { ...event, data: { ...event.data, payload: Buffer.from(event.data.payload) } };
}
