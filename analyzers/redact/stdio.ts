/**
 * Secrets in stdio, over the borders of calls too. A chunk leaves at once, unless it ends in what may be the beginning of
 * a secret: then it waits for what comes next in its process, file and direction. First letters of a prefix, as
 * many words have, wait shortly; what is recognised (`sk-ant-`, `password: h`, a secret that is not over) longer, and
 * if nobody finishes it by then it is masked. What left last of a line is looked at again with what comes.
 *
 * Not covered: secrets that go on in another line, but for blocks of private keys.
 */
import type { ProcessKey, SecretMarks, StdioEvent } from '../../src/event.ts';
import { type Nanoseconds, differenceMs } from '../../src/time.ts';
import { type Range, masked, secretsOf } from '../http/mask.ts';
import { type Line, type Wait, createLines } from './lines.ts';
import { type Opening, openingOf } from './opening.ts';
import { contextOf } from './tail.ts';

export interface StdioLimits {
  readonly stdioOpenLines: number;
  readonly stdioLineBytes: number;
  readonly stdioHeldBytes: number;
  readonly stdioHeldMs: number;
  readonly stdioKeyHeldMs: number;
}

export const STDIO_COUNTERS = ['stdio_lines_forgotten', 'stdio_held_full', 'stdio_keys_unfinished'] as const;

export interface StdioOptions {
  readonly limits: StdioLimits;
  locate(bytes: Buffer): readonly Range[];
  count(name: (typeof STDIO_COUNTERS)[number] | 'masked_events' | 'masked_secrets', count: number): void;
  /** In the order of its stream. `marks`: of what was masked in it. */
  emit(event: StdioEvent, marks: SecretMarks): void;
}

export interface StdioSecrets {
  readonly isWaiting: boolean;
  take(event: StdioEvent): void;
  /** Lets go what has waited for too long at this time. */
  expire(now: Nanoseconds): void;
  /** Lets go what has waited for too many ticks, of which `stdioHeldMs` has `TICKS`. */
  tick(): void;
  endProcess(process: ProcessKey | number): void;
  /** Lets everything go. */
  flush(): void;
}

export const TICKS = 2;
/** What a chunk takes besides its payload, so that many small ones are bounded too. */
const CHUNK_BYTES = 512;
/** More text than this is not read again with each small chunk, but when it has grown by a part, or at the next tick. */
const READ_BYTES = 1024;
const READ_PARTS = 8;
const LF = 0x0a;

/** What a line shows: of what has left, and of what waits. */
interface Reading {
  readonly text: Buffer;
  readonly chunks: readonly Buffer[];
  readonly ranges: readonly Range[];
  readonly opening: Opening | null;
}

export function createStdioSecrets({ limits, locate, count, emit }: StdioOptions): StdioSecrets {
  const lines = createLines();
  const waitOf = (ms: number): Wait => ({ lines: new Set(), ms, ticks: Math.ceil((TICKS * ms) / limits.stdioHeldMs) });
  const shortly = waitOf(limits.stdioHeldMs);
  const longer = waitOf(limits.stdioKeyHeldMs);
  let heldBytes = 0;

  function take(event: StdioEvent): void {
    const { data } = event;
    const bytes = bufferOf(data.payload);
    const isAlone = data.fault || data.withheld !== undefined || bytes.length === 0;
    const line = lines.find(event);
    const isNext = line !== undefined && !isAlone && data.offset === line.next;
    if (line !== undefined && !isNext) cutOff(line);
    if (isAlone) put(event, bytes, locate(bytes));
    else if (isNext && line.held.length > 0) add(line, event, bytes);
    else pass(isNext ? line : undefined, event, bytes);
  }

  /** Nothing waits before it. */
  function pass(line: Line | undefined, event: StdioEvent, bytes: Buffer): void {
    const text = line === undefined ? bytes : Buffer.concat([line.tail, bytes]);
    const { length } = text;
    const ranges = locate(text);
    if (openingIn(text, ranges) !== null) {
      add(line ?? open(event), event, bytes);
      return;
    }
    put(event, bytes, ranges.length === 0 ? ranges : inOrder(ranges)(length - bytes.length, length));
    const tail = contextOf(text, length, goesOnFrom(length, ranges));
    if (tail.length > 0) Object.assign(line ?? open(event), { tail, next: nextOf(event.data) });
    else if (line !== undefined) lines.delete(line);
  }

  function open(event: StdioEvent): Line {
    const oldest = lines.all.size < limits.stdioOpenLines ? undefined : lines.all.values().next().value;
    if (oldest !== undefined) {
      count('stdio_lines_forgotten', 1);
      cutOff(oldest);
    }
    return lines.open(event);
  }

  function add(line: Line, event: StdioEvent, bytes: Buffer): void {
    line.next = nextOf(event.data);
    line.held.push(event);
    line.heldBytes += bytes.length;
    line.unreadBytes += bytes.length;
    heldBytes += bytes.length + CHUNK_BYTES;
    const isLittle = line.unreadBytes * READ_PARTS < line.readBytes - READ_BYTES;
    if (line.wait !== longer || !isLittle || bytes.includes(LF)) settle(line);
    if (line.heldBytes > limits.stdioLineBytes) giveUp(line);
    ownLast(line);
    if (heldBytes <= limits.stdioHeldBytes) return;
    count('stdio_held_full', 1);
    for (const { lines: waiting } of [shortly, longer]) waiting.forEach(giveUp);
  }

  /** What cannot be part of a secret leaves. */
  function settle(line: Line): void {
    const reading = read(line);
    const { chunks, opening, text } = reading;
    let at = line.tail.length;
    const over = chunks.findIndex(({ length }) => (at += length) > (opening?.start ?? text.length));
    leave(line, reading, over === -1 ? chunks.length : over);
    if (opening !== null) join(line, opening.isKnown ? longer : shortly);
  }

  function join(line: Line, among: Wait): void {
    const [first] = line.held;
    if (first === undefined || (line.wait === among && line.since === first.timestamp)) return;
    line.wait?.lines.delete(line);
    line.wait = among;
    line.since = first.timestamp;
    line.ticks = 0;
    among.lines.add(line);
  }

  function read(line: Line): Reading {
    const chunks = line.held.map(({ data }) => bufferOf(data.payload));
    const text = Buffer.concat([line.tail, ...chunks]);
    const ranges = locate(text);
    line.readBytes = text.length;
    line.unreadBytes = 0;
    return { text, chunks, ranges, opening: openingIn(text, ranges) };
  }

  /** The first `number` chunks. */
  function leave(line: Line, { text, chunks, ranges, opening }: Reading, number: number): void {
    if (number === 0) return;
    const rangesOf = inOrder(ranges);
    let at = line.tail.length;
    for (const [index, event] of line.held.splice(0, number).entries()) {
      const bytes = chunks[index] as Buffer;
      put(event, bytes, rangesOf(at, at + bytes.length));
      at += bytes.length;
      line.heldBytes -= bytes.length;
      heldBytes -= bytes.length + CHUNK_BYTES;
    }
    line.tail = contextOf(text, at, Math.min(opening?.start ?? at, goesOnFrom(at, ranges)));
    if (line.held.length > 0) return;
    line.wait?.lines.delete(line);
    line.wait = null;
    if (line.tail.length === 0) lines.delete(line);
  }

  /** Nobody waits for the end of a secret any longer: what may be part of one is masked. */
  function giveUp(line: Line): void {
    const reading = read(line);
    const { opening, text } = reading;
    const isMasked = opening !== null && opening.secret < text.length;
    if (isMasked) count('stdio_keys_unfinished', 1);
    leave(line, isMasked ? { ...reading, ranges: maskedFrom(opening.secret, reading) } : reading, line.held.length);
  }

  /** What would go on with it is not known. */
  function cutOff(line: Line): void {
    giveUp(line);
    lines.delete(line);
  }

  /** All was said. */
  function end(line: Line): void {
    leave(line, read(line), line.held.length);
    lines.delete(line);
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

  return {
    get isWaiting() {
      return shortly.lines.size > 0 || longer.lines.size > 0;
    },
    take,
    expire(now) {
      for (const { lines: waiting, ms } of [shortly, longer]) {
        for (const line of waiting) {
          if (differenceMs(now, line.since) < ms) break;
          giveUp(line);
        }
      }
    },
    tick() {
      for (const { lines: waiting, ticks } of [shortly, longer]) {
        for (const line of Array.from(waiting)) {
          if (++line.ticks >= ticks) giveUp(line);
          else if (line.unreadBytes > 0) settle(line);
        }
      }
    },
    endProcess(process) {
      lines.of(process).forEach(end);
    },
    flush() {
      lines.all.forEach(end);
    },
  };
}

/** In a line that is over, nothing opens. */
function openingIn(text: Buffer, ranges: readonly Range[]): Opening | null {
  return endsLine(text) ? null : openingOf(text, ranges);
}

function endsLine(text: Buffer): boolean {
  return text[text.length - 1] === LF;
}

/** Where the secret begins that is not over at this place, else the place. */
function goesOnFrom(at: number, ranges: readonly Range[]): number {
  const last = ranges.length === 0 ? undefined : ranges.findLast(({ start }) => start < at);
  return last !== undefined && last.end >= at ? last.start : at;
}

function maskedFrom(start: number, { text, ranges }: Reading): readonly Range[] {
  const before = ranges.filter((range) => range.end <= start);
  const cut = ranges[before.length];
  return [...before, { start: Math.min(start, cut?.start ?? start), end: text.length }];
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

/** Of a call of which only the first bytes are kept, what follows them never comes: the next call then begins anew. */
function nextOf({ offset, len, total }: StdioEvent['data']): number {
  return offset + len < total ? offset + len : 0;
}

function bufferOf(payload: Uint8Array): Buffer {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** Of a chunk that stays: a view into its batch would keep the whole batch alive. */
function ownLast({ held }: Line): void {
  const event = held.at(-1);
  if (event !== undefined) held[held.length - 1] = { ...event, data: { ...event.data, payload: Buffer.from(event.data.payload) } };
}
