/** What a selector leaves out, it leaves out of every source: two real programs do the same, one is chosen. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Selection } from '../../src/addon.ts';
import type { Event } from '../../src/event.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, endChild, startCapture, stdioEvents, type CaptureTestOptions } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { startTlsServer, type TlsServer } from '../programs/tls-server.ts';

/** A user that nobody is. */
const UID = 2_100_000_000 + process.pid;
const NAME = `chosen-${process.pid}`.slice(0, 15);
const FAMILIES = ['process', 'file', 'net', 'tls', 'stdio'] as const;
const CGROUP_ROOT = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/memory', '/sys/fs/cgroup'].find((path) => existsSync(`${path}/cgroup.procs`)) ?? '';
const GROUP = `/agentsight-sources-${process.pid}`;
const CONTAINER = `${process.pid.toString(16).padStart(12, 'c')}${'0123456789abcdef'.repeat(4)}`.slice(0, 64);

let folder: TempDir;
let server: TlsServer;
let children: ChildProcess[] = [];
beforeAll(async () => {
  folder = tempDir();
  chmodSync(folder.path, 0o777);
  copyFileSync(realpathSync('/usr/bin/curl'), folder.file(NAME));
  for (const group of [GROUP, `${GROUP}/docker-${CONTAINER}.scope`]) mkdirSync(CGROUP_ROOT + group, { recursive: true });
  server = await startTlsServer(CERTIFICATE_PROGRAM);
});
afterEach(async () => {
  for (const child of children) await endChild(child);
  children = [];
});
afterAll(async () => {
  await server.close();
  for (const group of [`${GROUP}/docker-${CONTAINER}.scope`, GROUP]) {
    await waitFor('the group to be empty', () => {
      try {
        rmdirSync(CGROUP_ROOT + group);
        return true;
      } catch {
        return false;
      }
    });
  }
  folder.remove();
});

/** A shell that runs what it is told, and is nobody's child but ours. */
function shell(): ChildProcess {
  const child = spawn('sh', ['-s'], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

/** Says and answers over TLS, writes a file, writes to its standard output. */
function fetching(program: string, what: string): string {
  return `${program} -sk -o ${folder.file(what)} -w fetched-${what} --data-binary asked-${what} ${server.url}/echo`;
}

interface Case {
  readonly selection: Partial<Selection>;
  /** Words that run curl as one that is chosen, by a shell that is not; as one that differs in one thing only. */
  readonly chosen: (what: string) => string;
  readonly other: (what: string) => string;
}

const curl = '/usr/bin/curl';
const copy = (): string => folder.file(NAME);
const as = (uid: number, words: string): string => `setpriv --reuid=${uid} --clear-groups ${words}`;
const within = (group: string, words: string): string => `sh -c 'echo 0 > ${CGROUP_ROOT}${group}/cgroup.procs; exec ${words}'`;

const CASES: Readonly<Record<string, () => Case>> = {
  '--comm': () => ({ selection: { comms: [NAME] }, chosen: (what) => fetching(copy(), what), other: (what) => fetching(curl, what) }),
  '--exe': () => ({ selection: { exes: [realpathSync(copy())] }, chosen: (what) => fetching(copy(), what), other: (what) => fetching(curl, what) }),
  '--uid': () => ({ selection: { uids: [UID] }, chosen: (what) => as(UID, fetching(curl, what)), other: (what) => as(UID + 1, fetching(curl, what)) }),
  '--cgroup': () => ({ selection: { cgroups: [GROUP] }, chosen: (what) => within(GROUP, fetching(curl, what)), other: (what) => fetching(curl, what) }),
  '--container': () => ({
    selection: { containers: [CONTAINER.slice(0, 12)] },
    chosen: (what) => within(`${GROUP}/docker-${CONTAINER}.scope`, fetching(curl, what)), other: (what) => within(GROUP, fetching(curl, what)),
  }),
  '--comm and --uid': () => ({
    selection: { comms: ['else', NAME], uids: [UID, UID + 1] },
    chosen: (what) => as(UID + 1, fetching(copy(), what)), other: (what) => `${as(UID, fetching(curl, what))}; ${fetching(copy(), what)}`,
  }),
  '--exe and --cgroup': () => ({
    selection: { exes: [realpathSync(copy())], cgroups: [GROUP] },
    chosen: (what) => within(GROUP, fetching(copy(), what)), other: (what) => `${within(GROUP, fetching(curl, what))}; ${fetching(copy(), what)}`,
  }),
  '--container and --uid': () => ({
    selection: { containers: [CONTAINER], uids: [UID] },
    chosen: (what) => within(`${GROUP}/docker-${CONTAINER}.scope`, as(UID, fetching(curl, what))),
    other: (what) => `${within(`${GROUP}/docker-${CONTAINER}.scope`, fetching(curl, what))}; ${as(UID, fetching(curl, what))}`,
  }),
};

const textOf = (event: Event): string => JSON.stringify(event.data, (_key, value: unknown) => {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value;
});

/** Buffers turn to JSON by themselves, before a replacer sees them. */
function mentions(events: readonly Event[], word: string): string[] {
  return events.filter(({ data }) => {
    const payload = 'payload' in data ? Buffer.from(data.payload).toString('latin1') : '';
    return payload.includes(word) || textOf({ data } as Event).includes(word);
  }).map(({ source }) => source);
}

/** Both have run to their end, the other first: what it did would have arrived. */
function expectOnlyChosen(events: readonly Event[]): void {
  expect(new Set(mentions(events, 'chosen-one'))).toEqual(new Set(['process', 'file', 'stdio', 'tls']));
  expect(events.filter(({ source }) => source === 'net').length).toBeGreaterThan(0);
  expect(mentions(events, 'other-one')).toEqual([]);
  const ports = new Set(events.flatMap(({ source, data }) => (source === 'net' && 'endpoint' in data && data.event === 'CONNECT' && data.endpoint.remote.port === server.port ? [data.endpoint.local.port] : [])));
  expect(ports.size).toBe(1);
}

const hasEnded = (events: readonly Event[], pid: number | null): boolean =>
  events.some((event) => event.source === 'process' && event.data.event === 'EXIT' && (pid === null || event.pid === pid));

describeKernel('of every source only what is selected by', () => {
  beforeEach(() => {
    for (const what of ['chosen-one', 'other-one']) writeFileSync(folder.file(what), '', { mode: 0o666 });
    for (const what of ['chosen-one', 'other-one']) chmodSync(folder.file(what), 0o666);
  });

  test.each(Object.keys(CASES))('%s', async (name) => {
    const { selection, chosen, other } = (CASES[name] ?? (() => { throw new Error(name); }))();
    const run = startCapture({ selection, families: FAMILIES });
    await run.ready;
    const sh = shell();
    sh.stdin?.end(`(${other('other-one')}) > /dev/null\n(${chosen('chosen-one')}; exit 0) > /dev/null\n`);
    await once(sh, 'exit');
    await waitFor('the end of the chosen one', () => hasEnded(run.events, null));
    await run.runner.stop();
    await run.done;
    expect(readFileSync(folder.file('other-one'), 'utf8')).toBe('asked-other-one');
    expectOnlyChosen(run.events);
  });

  test('--pid', async () => {
    const [chosen, other] = [shell(), shell()];
    const run = startCapture({ pids: [chosen.pid ?? 0], families: FAMILIES });
    await run.ready;
    other.stdin?.end(`${fetching(curl, 'other-one')} > /dev/null\n`);
    await once(other, 'exit');
    chosen.stdin?.end(`${fetching(curl, 'chosen-one')} > /dev/null\n`);
    await run.done;
    expectOnlyChosen(run.events);
  });

  test('--pid that must fit the other selectors as well', async () => {
    const chosen = shell();
    const refused = startCapture({ pids: [chosen.pid ?? 0], selection: { comms: ['curl'] }, families: FAMILIES });
    await expect(refused.done).rejects.toMatchObject({ code: 'TARGET_NOT_FOUND', message: expect.stringContaining('its name is sh') as string });
    const run = startCapture({ pids: [chosen.pid ?? 0], selection: { comms: ['sh'] }, families: FAMILIES });
    await run.ready;
    const other = shell();
    other.stdin?.end(`sh -c '${fetching(curl, 'other-one')}; exit 0' > /dev/null\n`);
    await once(other, 'exit');
    chosen.stdin?.end(`${fetching(curl, 'chosen-one')} > /dev/null\n`);
    await run.done;
    expectOnlyChosen(run.events);
  });
});

describeKernel('of the descriptors', () => {
  const SCRIPT = `
import os
os.dup2(os.open('/dev/null', os.O_WRONLY), 7)
for fd, text in (1, b'to-one'), (2, b'to-two'), (7, b'to-seven'), (7, b'0123456789'): os.write(fd, text)
`;
  const written = async (options: CaptureTestOptions): Promise<readonly (readonly [number, string, number])[]> => {
    const { events } = await captureCommand(command('/usr/bin/python3', ['-S', '-c', SCRIPT]), { families: ['stdio'], ...options });
    return stdioEvents(events).filter(({ data }) => data.direction === 'write').map(({ data }) => [data.fd, Buffer.from(data.payload).toString(), data.total]);
  };

  test('only those that are listed, of each call no more than is asked for', async () => {
    expect(await written({ fds: [7] })).toEqual([[7, 'to-seven', 8], [7, '0123456789', 10]]);
    expect(await written({ fds: [1, 7], stdioBytesPerCall: 4 })).toEqual([[1, 'to-o', 6], [7, 'to-s', 8], [7, '0123', 10]]);
    expect(await written({ fds: [2], stdioBytesPerCall: 0 })).toEqual([[2, '', 6]]);
  });
});
