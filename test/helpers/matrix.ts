/** The table of what is captured, in bpf/README.md: a test that proves a row holds what it saw against the row's own words. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import type { ChunkData, Event, ProbeData } from '../../src/event.ts';
import { systemTlsLibraries } from '../../src/runners/tls-system.ts';
import { ROOT } from './files.ts';
import { tlsEvents } from './live-capture.ts';
import { netEvents } from './net.ts';

export interface MatrixRow {
  readonly runtime: string;
  readonly direction: string;
  readonly endpoint: string;
  readonly method: string;
  /** `folder/file`: name of the test. */
  readonly test: string;
}

const HEAD = '| runtime | direction | endpoint | method | test |';

export function matrixRows(): MatrixRow[] {
  const text = readFileSync(join(ROOT, 'bpf/README.md'), 'utf8');
  const lines = text.slice(text.indexOf(HEAD)).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end).map((line) => {
    const [, runtime = '', direction = '', endpoint = '', method = '', test = ''] = line.split('|').map((cell) => cell.trim());
    return { runtime, direction, endpoint, method, test };
  });
}

export type Stated = Pick<MatrixRow, 'direction' | 'endpoint' | 'method'>;

/** `file`: in which of the hooked files the functions are that these bytes passed; of bare sockets none. */
export function expectRow(runtime: string, events: readonly Event[], file: string | RegExp = ''): void {
  const row = matrixRows().find((each) => each.runtime === runtime);
  expect(row, `bpf/README.md has no row for ${runtime}`).toBeDefined();
  expect(statedBy(events, file), `what bpf/README.md says of ${runtime}`)
    .toEqual({ direction: row?.direction, endpoint: row?.endpoint, method: row?.method });
}

/** What the events themselves say, in the words of the table. */
export function statedBy(events: readonly Event[], file: string | RegExp): Stated {
  const probes = events.flatMap((event) => (event.source === 'probe' ? [event.data] : []));
  const chunks = tlsEvents(events).flatMap(({ data }) => (data.event === 'DATA' ? [data] : []));
  if (chunks.length > 0) {
    const connections = new Set(chunks.map(({ connection }) => connection));
    const used = probes.filter(({ status, path }) => status === 'attached' && isFile(path, file));
    return { direction: directionOf(chunks), endpoint: evidenceOf(events, connections), method: listed(used.map(({ method }) => String(method))) };
  }
  // Of bare sockets there is nothing to infer: each event names its own.
  const net = netEvents(events).map(({ data }) => data);
  const plain = net.flatMap((data) => (data.event === 'DATA' ? [data] : []));
  if (plain.length > 0) return { direction: directionOf(plain), endpoint: 'proven', method: 'first bytes' };
  const hellos = net.flatMap((data) => (data.event === 'HELLO' ? [data] : []));
  const asksKernel = net.some(({ event }) => event === 'KTLS');
  if (hellos.length === 0 && !asksKernel) return { direction: 'none', endpoint: 'none', method: 'none' };
  return { direction: 'named', endpoint: 'proven', method: asksKernel ? 'setsockopt' : namedBy(probes, hellos) };
}

function namedBy(probes: readonly ProbeData[], hellos: readonly { readonly existing: boolean }[]): string {
  const isKnown = probes.some(({ status, library, steps }) => status === 'absent' && library !== null && steps[0]?.step === 'symbols');
  if (isKnown) return 'symbol';
  return hellos.every(({ existing }) => existing) ? 'record header' : 'ClientHello';
}

function directionOf(chunks: readonly Pick<ChunkData, 'direction'>[]): string {
  const directions = new Set(chunks.map(({ direction }) => direction));
  return directions.size === 2 ? 'both' : listed(directions);
}

/** The last word on each connection. */
function evidenceOf(events: readonly Event[], connections: ReadonlySet<string>): string {
  const told = new Map(tlsEvents(events).flatMap(({ data }) => (data.event === 'ENDPOINT' ? [[data.connection, data.evidence] as const] : [])));
  return listed([...connections].map((connection) => told.get(connection) ?? 'none'));
}

function isFile(path: string, file: string | RegExp): boolean {
  return typeof file === 'string' ? path === file : file.test(path);
}

function listed(words: Iterable<string>): string {
  return [...new Set(words)].toSorted().join(', ');
}

export function installedOpenSsl(): string {
  const found = systemTlsLibraries().find((path) => basename(path) === 'libssl.so.3');
  if (found === undefined) throw new Error('no libssl.so.3 is installed');
  return found;
}
