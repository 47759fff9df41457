/**
 * Parser cases as Markdown: a title, why it matters, the bytes, and what must
 * come out. Each is run whole, byte by byte and split at every boundary.
 *
 *     # Title
 *     Why.
 *     ```write            one call of the program; `read` for the other direction
 *     GET / HTTP/1.1\r\n   escapes \r \n \t \\ \xHH; the line ends of the file do not count
 *     ```
 *     ```write frames      lines of HTTP/2 frames, as `frames.ts` reads them
 *     ```write messages    lines of WebSocket frames, as `messages.ts` reads them
 *     ```read gap=100     100 bytes of that direction are lost before it; `at=100`: it begins there
 *     ```write less=9     of stdio: 9 bytes more were in the call, and are lost
 *     ```write pipe=3 peer=30 process=10    of stdio: to pipe:[3], at whose other end is process 30, by process 10
 *     ```close            the connection is freed; of stdio: the process ends
 *     ```close reset=peer ended=read    it was reset, after the other side had ended that direction
 *     ```options {"limits": {"httpBodyBytes": 10}}
 *     ```json             events in order: each field that is named must be equal
 *
 * A `stream` block is the body of an event stream, its request and head left out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { from } from 'rxjs';
import { type HttpOptions, http } from '../analyzers/http.ts';
import type { ConnectionReset, Direction, Event, Resettable, HttpEvent, SseEvent, TlsEvent, WebsocketEvent } from '../src/event.ts';
import { nanoseconds } from '../src/time.ts';
import { framesOf } from './frames.ts';
import { messagesOf } from './messages.ts';
import { ROOT } from './helpers/files.ts';

export interface Block {
  readonly kind: 'write' | 'read' | 'close';
  readonly bytes: Buffer;
  readonly gap: number;
  readonly less: number;
  readonly at: number | null;
  readonly pipe?: number | null;
  readonly peer?: number | null;
  readonly process?: number | null;
  readonly reset?: ConnectionReset;
}

export interface Case {
  readonly name: string;
  readonly blocks: readonly Block[];
  readonly options: Partial<HttpOptions>;
  readonly expected: readonly Record<string, unknown>[];
}

const folder = join(ROOT, 'test/cases');

export function readCases(name: string): Case[] {
  const path = join(folder, name);
  return readdirSync(path).filter((file) => file.endsWith('.md')).toSorted()
    .flatMap((file) => parseCases(readFileSync(join(path, file), 'utf8'), file));
}

/** A file may hold several cases, each begun by its title. */
function parseCases(text: string, file: string): Case[] {
  return text.split(/^# /m).slice(1).map((section) => parseCase(section, file));
}

function parseCase(section: string, file: string): Case {
  const name = `${file}: ${section.slice(0, section.indexOf('\n'))}`;
  const blocks: Block[] = [];
  let options: Partial<HttpOptions> = {};
  let expected: Record<string, unknown>[] | undefined;
  for (const [, info = '', body = ''] of section.matchAll(/^```(\w[^\n]*)\n([^]*?)^```$/gm)) {
    const [kind = ''] = info.split(' ');
    if (kind === 'json') expected = JSON.parse(body);
    else if (kind === 'options') options = JSON.parse(body);
    else if (kind === 'stream') blocks.push(...streamBlocks(unescape(body)));
    else if (kind === 'write' || kind === 'read' || kind === 'close') {
      blocks.push({ kind, bytes: bytesOf(info, body), gap: Number(option(info, 'gap') ?? 0), less: Number(option(info, 'less') ?? 0), at: numberOf(info, 'at'), pipe: numberOf(info, 'pipe'), peer: numberOf(info, 'peer'), process: numberOf(info, 'process'), ...resetOf(info) });
    } else throw new Error(`${name}: block of unknown kind ${kind}`);
  }
  if (expected === undefined || blocks.length === 0) throw new Error(`${name}: needs input and a json block`);
  return { name, blocks, options, expected };
}

function bytesOf(info: string, body: string): Buffer {
  if (info.includes(' frames')) return framesOf(body, unescape);
  return info.includes(' messages') ? messagesOf(body, unescape) : unescape(body);
}

function resetOf(info: string): Resettable {
  const by = /\breset=(peer|program)\b/.exec(info)?.[1] as ConnectionReset['by'] | undefined;
  if (by === undefined) return {};
  const ended = /\bended=(\S+)/.exec(info)?.[1]?.split(',') ?? [];
  return { reset: { by, unfinished: (['read', 'write'] as const).filter((direction) => !ended.includes(direction)) } };
}

function option(info: string, key: string): string | undefined {
  return new RegExp(`\\b${key}=(\\d+)`).exec(info)?.[1];
}

function numberOf(info: string, key: string): number | null {
  const value = option(info, key);
  return value === undefined ? null : Number(value);
}

function streamBlocks(body: Buffer): Block[] {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n';
  return [
    { kind: 'write', bytes: Buffer.from('GET /s HTTP/1.1\r\nHost: a\r\n\r\n'), gap: 0, less: 0, at: null },
    { kind: 'read', bytes: Buffer.concat([Buffer.from(head), body]), gap: 0, less: 0, at: null },
    { kind: 'close', bytes: Buffer.alloc(0), gap: 0, less: 0, at: null },
  ];
}

function unescape(text: string): Buffer {
  const plain = Buffer.from(text.replaceAll('\n', ''), 'utf8').toString('latin1');
  return Buffer.from(plain.replaceAll(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (whole, hex?: string, letter?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    const value = { r: '\r', n: '\n', t: '\t', '\\': '\\' }[letter ?? ''];
    if (value === undefined) throw new Error(`unknown escape ${whole}`);
    return value;
  }), 'latin1');
}

export interface ChunkOptions {
  readonly connection?: string;
  readonly direction: Direction;
  readonly bytes: Buffer;
  readonly position: number;
  readonly total?: number;
  readonly offset?: number;
  readonly timeMs?: number;
}

export function chunk(options: ChunkOptions): TlsEvent {
  const { connection = 'c1', direction, bytes, position, total = bytes.length, offset = 0, timeMs = 0 } = options;
  return tls(timeMs, {
    event: 'DATA', connection, direction, position, library: 'openssl', endpoint: null, server_name: null,
    len: bytes.length, total, offset, payload: bytes, truncated: false, fault: false, tid: 7,
  });
}

export function closing(connection = 'c1', timeMs = 0, reset: Resettable = {}): TlsEvent {
  return tls(timeMs, { event: 'CLOSE', connection, ...reset });
}

function tls(timeMs: number, data: TlsEvent['data']): TlsEvent {
  return {
    timestamp: nanoseconds(BigInt(Math.round(timeMs * 1e6))), source: 'tls', pid: 7, comm: 'agent', data,
    id: 't', process: 'p7', session: 'p1',
  };
}

/** The blocks as chunks, ten milliseconds apart; `cuts` says where a block's bytes are split. */
export function chunksOf(blocks: readonly Block[], cuts: (block: number, length: number) => readonly number[]): TlsEvent[] {
  const next = { read: 0, write: 0 };
  return blocks.flatMap(({ kind, bytes, gap, at, reset }, index) => {
    if (kind === 'close') return [closing('c1', index * 10, reset === undefined ? {} : { reset })];
    const start = at ?? next[kind] + gap;
    next[kind] = start + bytes.length;
    const edges = [0, ...cuts(index, bytes.length), bytes.length];
    return edges.slice(1).map((end, i) => {
      const offset = edges[i] as number;
      return chunk({
        direction: kind, bytes: bytes.subarray(offset, end), position: start + offset,
        total: bytes.length, offset, timeMs: index * 10,
      });
    });
  });
}

export interface Outcome {
  readonly derived: readonly Record<string, unknown>[];
  readonly chunks: readonly TlsEvent[];
  readonly order: readonly Event[];
}

/** Runs the events through the operator; derived events are flat and without their ids. */
export function analyze(events: readonly Event[], options: Partial<HttpOptions> = {}): Outcome {
  const order: Event[] = [];
  let sequence = 0;
  from(events).pipe(http({ nextId: () => `e${sequence++}`, ...options })).subscribe((event) => order.push(event));
  return {
    derived: order.filter(isDerived).map(flat),
    chunks: order.filter((event) => event.source === 'tls'),
    order,
  };
}

type Derived = HttpEvent | SseEvent | WebsocketEvent;

export function isDerived(event: Event): event is Derived {
  return event.source === 'http' || event.source === 'sse' || event.source === 'websocket';
}

export function flat({ source, timestamp, pid, comm, process, session, data }: Derived): Record<string, unknown> {
  return { source, timestamp: Number(timestamp) / 1e6, pid, comm, process, session, ...data };
}

export { unescape };
