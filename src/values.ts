/**
 * Text that people write, to values: durations, sizes, ports, pids, lists of
 * sources. Used for flags, for the environment and for the config file, so
 * that `16M` means the same in all three.
 *
 * A parser returns its value or throws a BadValue, whose message starts where
 * the sentence "could not use --port: " stops.
 */
import { SOURCES } from './event.ts';
import type { Source } from './event.ts';
import { LIMITS } from './limits.ts';
import { closest } from './suggest.ts';

export class BadValue extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.name = 'BadValue';
    this.hint = hint;
  }
}

export type Parse<T> = (text: string) => T;

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** setTimeout counts in 31 bits. */
const LONGEST_DURATION_MS = 2 ** 31 - 1;

/** `10s`, `1m30s`, `500ms`; a bare number is seconds, as timeout(1) has it. Milliseconds. */
export function parseDuration(text: string): number {
  const hint = 'for example 10s, 1m30s, 500ms or 2h';
  const trimmed = text.trim().toLowerCase();
  const spelled = /^\d+(\.\d+)?$/.test(trimmed) ? `${trimmed}s` : trimmed;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(spelled)) throw new BadValue(`"${text}" is not a duration`, hint);
  let totalMs = 0;
  for (const [, amount, unit] of spelled.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (DURATION_UNITS_MS[unit ?? ''] ?? 0);
  }
  if (totalMs <= 0) throw new BadValue('it must be more than nothing', hint);
  if (totalMs > LONGEST_DURATION_MS) throw new BadValue('24 days is the longest', hint);
  return Math.round(totalMs);
}

/** Looking at /proc more often than that would be what is seen there. */
const SHORTEST_INTERVAL_MS = 100;

/** Between two looks. */
export function parseInterval(text: string): number {
  const intervalMs = parseDuration(text);
  if (intervalMs >= SHORTEST_INTERVAL_MS) return intervalMs;
  throw new BadValue(`${SHORTEST_INTERVAL_MS}ms is the shortest`);
}

/** `80`, `250%`: of one processor, so that several busy ones are more than 100. */
export function parsePercent(text: string): number {
  const match = /^(\d{1,6}(?:\.\d+)?)\s*%?$/.exec(text.trim());
  if (match === null) throw new BadValue(`"${text}" is not a percentage`, 'for example 80; two processors are 200');
  return Number(match[1]);
}

/** `16M`, `512KiB`, `4096`: powers of 1024. Bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null) throw new BadValue(`"${text}" is not a size`, 'for example 16M, 512K or 1G');
  const power = ['', 'k', 'm', 'g', 't'].indexOf((match[2] ?? '').toLowerCase());
  const bytes = Math.round(Number(match[1]) * 1024 ** power);
  if (!Number.isSafeInteger(bytes)) throw new BadValue(`"${text}" is too large`);
  return bytes;
}

/** One record of 32 KiB with its header must fit several times; the kernel takes no more than 2 GiB. */
const RING_BYTES_MIN = 256 * 1024;
const RING_BYTES_MAX = 1024 ** 3;

/** A size that a ring buffer can have: a power of two. */
export function parseRingSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes < RING_BYTES_MIN || bytes > RING_BYTES_MAX) {
    throw new BadValue(`a ring holds from 256K to 1G, not ${formatSize(bytes)}`);
  }
  const below = 2 ** Math.floor(Math.log2(bytes));
  if (below === bytes) return bytes;
  throw new BadValue(
    `a ring's size is a power of two, not ${formatSize(bytes)}`,
    `${formatSize(below)} and ${formatSize(below * 2)} are the nearest`,
  );
}

/** Exact: `16M`, or plain bytes where no unit divides it. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (unit < 4 && value > 0 && value % 1024 === 0) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${['', 'K', 'M', 'G', 'T'][unit] ?? ''}`;
}

/** pid_max is at most 2^22 on 64-bit kernels. */
const PID_MAX = 2 ** 22;

export function parsePid(text: string): number {
  const pid = wholeNumber(text, 'a process id');
  if (pid < 1 || pid > PID_MAX) throw new BadValue(`"${text}" is not a process id`, `process ids go from 1 to ${PID_MAX}`);
  return pid;
}

const PORT_MAX = 65_535;

/** 0 means any free port. */
export function parsePort(text: string): number {
  const port = wholeNumber(text, 'a port');
  if (port > PORT_MAX) throw new BadValue(`"${text}" is not a port`, `ports go from 1 to ${PORT_MAX}; 0 takes a free one`);
  return port;
}

/** A port that something passes. */
export function parseTrafficPort(text: string): number {
  const port = wholeNumber(text, 'a port');
  if (port >= 1 && port <= PORT_MAX) return port;
  throw new BadValue(`no traffic has port ${port}`, `ports go from 1 to ${PORT_MAX}; the one of the page is --server-port`);
}

/** `8080`, `8080,3000`: ports of plain HTTP, each once. */
export function parsePlainPorts(text: string): readonly number[] {
  const ports = [...new Set(text.split(',').map(parseTrafficPort))];
  if (ports.length <= LIMITS.plainPorts) return ports;
  throw new BadValue(`${LIMITS.plainPorts} ports are the most, not ${ports.length}`, 'HTTP is known by its first bytes at every other port');
}

/** `1`, `0-2,7`: descriptors. */
export function parseDescriptors(text: string): readonly number[] {
  const most = LIMITS.selectedFds - 1;
  const chosen = new Set<number>();
  for (const part of text.split(',')) {
    const [, first, last = first] = /^\s*(\d{1,10})(?:-(\d{1,10}))?\s*$/.exec(part) ?? [];
    if (first === undefined || Number(first) > Number(last)) throw new BadValue(`"${part}" is no descriptor`, 'for example 1, or 0-2,7');
    if (Number(last) > most) throw new BadValue(`descriptors go to ${most}, not ${last}`, '--all-fds takes every one');
    for (let fd = Number(first); fd <= Number(last); fd++) chosen.add(fd);
  }
  return [...chosen];
}

/** What is kept of one call. */
export function parseMaxBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes <= LIMITS.callBytesMax) return bytes;
  throw new BadValue(`no more than ${formatSize(LIMITS.callBytesMax)} can be kept of one call`);
}

/** A word that is looked up later. */
export function parseWord(text: string): string {
  if (text.trim() === '') throw new BadValue('it cannot be empty');
  return text;
}

function wholeNumber(text: string, what: string): number {
  if (!/^\d{1,10}$/.test(text.trim())) throw new BadValue(`"${text}" is not ${what}`, 'a whole number is needed');
  return Number(text);
}

/** The kernel keeps 15 bytes of a process's name. */
const COMM_BYTES = 15;

export function parseComm(text: string): string {
  if (text === '') throw new BadValue('a process name cannot be empty');
  if (Buffer.byteLength(text) <= COMM_BYTES) return text;
  const kept = Buffer.from(text).subarray(0, COMM_BYTES).toString();
  throw new BadValue(`"${text}" is longer than the 15 bytes that the kernel keeps of a name`, `did you mean "${kept}"?`);
}

/** Sources that a user may choose; those about ourselves always come along. */
export const SELECTABLE_SOURCES = [
  'process', 'file', 'stdio', 'net', 'tls', 'http', 'sse', 'websocket', 'mcp', 'signal', 'readline', 'system',
] as const satisfies readonly Source[];

/** Those that have to be asked for: `all` has them, the default has not. */
export const OPTIONAL_SOURCES: readonly Source[] = ['signal', 'readline', 'system'];

export const DEFAULT_SOURCES: readonly Source[] =
  SOURCES.filter((source) => SELECTABLE_SOURCES.some((selectable) => selectable === source) && !OPTIONAL_SOURCES.includes(source));

/** `tls,http`; `all` for every one. In the order of SOURCES, without repeats. */
export function parseSources(text: string): readonly Source[] {
  const names = text.split(',').map((name) => name.trim()).filter((name) => name !== '');
  if (names.length === 0) throw new BadValue('the list is empty', `choose of ${SELECTABLE_SOURCES.join(', ')}`);
  const chosen = new Set<string>();
  for (const name of names) {
    if (name === 'all') for (const source of SELECTABLE_SOURCES) chosen.add(source);
    else if ((SELECTABLE_SOURCES as readonly string[]).includes(name)) chosen.add(name);
    else throw new BadValue(`there is no source "${name}"`, sourceHint(name));
  }
  return SOURCES.filter((source) => chosen.has(source));
}

function sourceHint(name: string): string {
  // ssl and http_parser are what AgentSight calls them.
  const seedNames: Readonly<Record<string, string>> = { ssl: 'tls', http_parser: 'http', sse_processor: 'sse' };
  const meant = seedNames[name] ?? closest(name, SELECTABLE_SOURCES);
  const all = `choose of ${SELECTABLE_SOURCES.join(', ')}, or all`;
  return meant === undefined ? all : `did you mean ${meant}? ${all}`;
}

/** An HTTP address of a ClickHouse server. */
export function parseStoreUrl(text: string): string {
  const hint = 'for example http://user:password@clickhouse.example:8123/agentsight';
  if (!URL.canParse(text)) throw new BadValue(`"${text}" is not a URL`, hint);
  const { protocol } = new URL(text);
  if (protocol === 'http:' || protocol === 'https:') return text;
  throw new BadValue(`the store speaks http or https, not ${protocol.slice(0, -1)}`, hint);
}

export function parseDirectory(text: string): string {
  if (text === '') throw new BadValue('a path cannot be empty');
  if (text.startsWith('/')) return text;
  return `${process.cwd()}/${text}`;
}

export function parseSwitch(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (['1', 'true', 'yes', 'on'].includes(word)) return true;
  if (['0', 'false', 'no', 'off'].includes(word)) return false;
  throw new BadValue(`"${text}" is neither yes nor no`, 'write 1 or 0');
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((name) => name === text.trim().toLowerCase());
  if (level !== undefined) return level;
  throw new BadValue(`there is no log level "${text}"`, `choose of ${LOG_LEVELS.join(', ')}`);
}
