/** Runs agents and runtimes as they are published, and compares what was seen of them with what their server knows. */
import { readFileSync, openSync, closeSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { beforeAll, expect } from 'vitest';
import type { Event, ProbeMethod, TlsLibrary } from '../../src/event.ts';
import type { TempDir } from './files.ts';
import { captureCommand, command, conversations, type CaptureTestOptions } from './live-capture.ts';
import { expectRow } from './matrix.ts';
import { describeGuests } from './privilege.ts';
import { seenConnections } from './tls-clients.ts';
import type { TlsRecorder } from './tls-recorder.ts';

/** They would call home: nothing runs where there is more than loopback. */
export function describeAgents(name: string, body: () => void): void {
  describeGuests(name, () => {
    beforeAll(() => {
      const others = Object.keys(networkInterfaces()).filter((network) => network !== 'lo');
      if (others.length > 0) throw new Error(`these programs run without a network only, and ${others.join(', ')} is one: use npm run test:agents`);
    });
    body();
  });
}

export interface AgentRun {
  readonly program: string;
  readonly args: readonly string[];
  /** The whole environment, but for PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** Home and working directory; what it prints goes here. */
  readonly folder: TempDir;
  readonly families?: CaptureTestOptions['families'];
}

export interface AgentSeen {
  readonly events: readonly Event[];
  readonly output: string;
}

/** Runs it from its start to its end, which must be a good one. */
export async function captureAgent({ program, args, env, folder, families = ['process', 'tls'] }: AgentRun): Promise<AgentSeen> {
  const output = folder.file('output');
  const descriptor = openSync(output, 'w');
  try {
    const launch = command(program, args, {
      cwd: folder.path,
      env: { PATH: process.env['PATH'], HOME: folder.path, TMPDIR: folder.path, ...env },
      stdio: ['ignore', descriptor, descriptor],
    });
    const { events, runner } = await captureCommand(launch, { families });
    const printed = readFileSync(output, 'utf8');
    expect(await runner.exit, printed).toMatchObject({ exitCode: 0 });
    return { events, output: printed };
  } finally {
    closeSync(descriptor);
  }
}

export interface Expected {
  /** Of the table of what is captured, where it has one. */
  readonly row?: string;
  /** In which file the functions were found, maybe with those of another library. */
  readonly path: string;
  readonly functions: readonly string[];
  /** Through which all bytes went. */
  readonly library: TlsLibrary;
  /** How they were found. */
  readonly method?: ProbeMethod;
}

/** Its functions were found by a locator or as is said, and every byte of every connection was seen once, in its direction, at the server's port. */
export function expectWhole({ events }: AgentSeen, { connections, port }: TlsRecorder, { row, path, library, functions, method = 'locator' }: Expected): void {
  expect(events.flatMap((event) => (event.source === 'probe' && event.data.path === path ? [event.data] : []))).toEqual([
    expect.objectContaining({ status: 'attached', method, functions: expect.arrayContaining([...functions]) }),
  ]);
  const carried = connections
    .map(({ received, sent }) => ({ written: Buffer.concat(received), read: Buffer.concat(sent) }))
    .filter(({ written, read }) => written.length + read.length > 0);
  expect(carried.length).toBeGreaterThan(0);
  // Of the same lengths first: a difference of a hundred thousand bytes is of no use to whoever reads it.
  expect(conversations(events).map(lengths).toSorted()).toEqual(carried.map(lengths).toSorted());
  expect(conversations(events).map(text).toSorted()).toEqual(carried.map(text).toSorted());
  for (const seen of seenConnections(events).filter(({ read, written }) => read !== '' || written !== '')) {
    expect([...seen.libraries]).toEqual([library]);
    expect(new Set(seen.endpoints.map((endpoint) => endpoint?.remote.port))).toEqual(new Set([port]));
  }
  expect(events.filter(({ source }) => source === 'loss')).toEqual([]);
  if (row !== undefined) expectRow(row, events, path);
}

interface Bytes {
  readonly written: Buffer;
  readonly read: Buffer;
}

function lengths({ written, read }: Bytes): string {
  return `${written.length} written, ${read.length} read`;
}

function text({ written, read }: Bytes): string {
  return `${written.toString('latin1')}\n----\n${read.toString('latin1')}`;
}
