import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseLine } from '../../src/event-parse.ts';
import { createHubLink, type HubLink, type HubLinkOptions } from '../../src/link/client.ts';
import { encodeMessage } from '../../src/link/codec.ts';
import { PROTOCOL_VERSION, type Hello } from '../../src/link/protocol.ts';
import { splitLines } from '../../src/link/split.ts';
import { chunk, eventBatch, stdioEvent } from '../helpers/events.ts';
import { fakeHub, type FakeHub } from '../helpers/fake-hub.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { waitFor } from '../helpers/wait.ts';

/** Above the kernel's highest pid: nobody is alive there. */
const DEAD_PID = 4_194_305;

const NO_HUB_COMES = { closeUnreachableMs: 50 };

let dir: TempDir;
let hub: FakeHub;
let links: HubLink[];
let notices: string[];

beforeEach(() => {
  dir = tempDir();
  hub = fakeHub({ path: dir.file('hub.sock') });
  links = [];
  notices = [];
});
afterEach(async () => {
  await Promise.all(links.map((each) => each.close()));
  await hub.kill();
  dir.remove();
});

function helloOf(collector: string, pid = process.pid): Hello {
  return { protocol: PROTOCOL_VERSION, version: '0.1.0', collector, host: 'h', boot: 'b', pid, command: ['trace'], redaction: true };
}

function link({ hello = helloOf('h.b.one'), ...options }: Partial<HubLinkOptions> = {}): HubLink {
  const made = createHubLink({
    socketPath: dir.file('hub.sock'), hello, spoolDir: dir.file('spool'), onNotice: (message) => notices.push(message), ...options,
    // One batch for each write, unless a test is about joining them.
    // A close waits for a slow machine; where no hub will come, a test says so.
    limits: { retryFirstMs: 5, retryLastMs: 20, closeUnreachableMs: 20_000, closeMs: 60_000, batchBytes: 1, batchesInFlight: 1000, ...options.limits },
  });
  links.push(made);
  return made;
}

const batchOf = (from: number, count = 10, payload = 'x') =>
  eventBatch(Array.from({ length: count }, (_, i) => stdioEvent(chunk(Buffer.from(payload)), from + i)));

/** Sequences of all stored events, in the order of storing. */
function storedEvents(collector = 'h.b.one'): number[] {
  return [...hub.stored].filter(([token]) => token.startsWith(`${collector}:`))
    .flatMap(([, lines]) => lines.split('\n').slice(0, -1).map((line) => Number(parseLine(line).id.split('.').at(-1))));
}
const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

describe('a hub that is there', () => {
  test('gets hello, every batch once and in order, stats, and bye; nothing stays behind', async () => {
    await hub.listen();
    const sink = link({ stages: () => [{ stage: 'kernel', counters: { delivered: 7 } }], limits: { statsMs: 5 } });
    for (let i = 0; i < 20; i++) sink.write(batchOf(i * 10));
    await waitFor('a stats message', () => hub.stats.length > 0);
    await sink.close();
    await sink.close();
    await waitFor('bye', () => hub.byes === 1);
    expect(hub.hellos).toEqual([helloOf('h.b.one')]);
    expect(storedEvents()).toEqual(range(200));
    expect(hub.received).toEqual(range(20, 1).map((sequence) => `h.b.one:${sequence}`));
    expect(sink.stats().counters).toMatchObject({ events: 200, batches: 20, refused: 0, resent: 0, unacked_events: 0 });
    expect(hub.stats[0]).toEqual([{ stage: 'kernel', counters: { delivered: 7 } }]);
    expect(existsSync(dir.file('spool'))).toBe(false);
    expect(notices).toEqual([]);
  });

  test('that stores but does not acknowledge gets everything again on the next connection, and stores it once', async () => {
    await hub.listen();
    hub.acking = false;
    const sink = link();
    for (let i = 0; i < 5; i++) sink.write(batchOf(i * 10));
    await waitFor('all batches', () => hub.received.length === 5);
    await hub.kill();
    await waitFor('the collector to notice', () => !sink.connected);
    hub.acking = true;
    await hub.listen();
    sink.write(batchOf(50));
    await waitFor('the hub to be found again', () => sink.connected);
    await sink.close();
    expect(hub.received).toHaveLength(11);
    expect(storedEvents()).toEqual(range(60));
    expect(sink.stats().counters).toMatchObject({ events: 60, resent: 50, connections: 2 });
    expect(notices[0]).toMatch(/could not reach the hub.*capture goes on/);
    expect(notices[1]).toMatch(/hub is back/);
  });

  test('that falls behind gets larger batches, and one that keeps up gets each at once', async () => {
    await hub.listen();
    hub.acking = false;
    const bytes = batchOf(0).jsonl.length;
    const sink = link({ limits: { batchesInFlight: 2, batchBytes: bytes * 4 } });
    await waitFor('the welcome', () => sink.connected);
    for (let i = 0; i < 11; i++) sink.write(batchOf(i * 10));
    await waitFor('what may be under way', () => hub.received.length === 2);
    hub.acking = true;
    hub.say(encodeMessage({ kind: 'ack', ack: { sequence: 2 } }));
    await waitFor('the rest', () => sink.stats().counters['unacked_events'] === 0);
    // 1 + 1 under way, then 4 + 4 + 1 that waited.
    expect(hub.received).toEqual(range(5, 1).map((sequence) => `h.b.one:${sequence}`));
    sink.write(batchOf(110));
    await waitFor('one alone', () => hub.received.length === 6);
    await sink.close();
    expect(storedEvents()).toEqual(range(120));
  });

  test('that dies gets the same batches again under the same numbers, though more came meanwhile', async () => {
    await hub.listen();
    hub.acking = false;
    const sink = link({ limits: { batchesInFlight: 2, batchBytes: 1e6 } });
    await waitFor('the welcome', () => sink.connected);
    for (let i = 0; i < 5; i++) sink.write(batchOf(i * 10));
    await waitFor('what may be under way', () => hub.received.length === 2);
    const before = new Map(hub.stored);
    await hub.kill();
    for (let i = 5; i < 8; i++) sink.write(batchOf(i * 10));
    hub.stored.clear();
    hub.acking = true;
    await hub.listen();
    await waitFor('the hub to be found again', () => sink.connected);
    await sink.close();
    for (const [token, lines] of before) expect(hub.stored.get(token)).toBe(lines);
    expect(storedEvents()).toEqual(range(80));
    expect(hub.stored.size).toBe(3);
  });

  test.each([{ batchBytes: 1, batchesInFlight: 1000 }, { batchBytes: 9000, batchesInFlight: 4 }])('killed again and again while events flow: none is lost, none stored twice (%o)', async (limits) => {
    await hub.listen();
    const sink = link({ limits: { unackedBytes: 20_000, segmentBytes: 5000, ...limits } });
    for (let round = 0; round < 15; round++) {
      for (let i = 0; i < 4; i++) sink.write(batchOf((round * 4 + i) * 10));
      hub.acking = round % 3 !== 0;
      if (round % 2 === 0) {
        await hub.kill();
        await hub.listen();
      }
      await new Promise(setImmediate);
    }
    hub.acking = true;
    await hub.kill();
    await hub.listen();
    // A close gives up on a hub that it does not reach in time.
    await waitFor('all to be stored', () => sink.stats().counters['unacked_events'] === 0);
    await sink.close();
    expect(storedEvents()).toEqual(range(600));
    expect(sink.stats().counters).toMatchObject({ events: 600, refused: 0, unacked_events: 0 });
  });

  test('that is slow makes the spool, not the memory, grow, and order is kept', async () => {
    await hub.listen();
    hub.acking = false;
    const sink = link({ limits: { unackedBytes: 20_000, segmentBytes: 20_000 } });
    for (let i = 0; i < 100; i++) sink.write(batchOf(i * 10));
    const { unacked_bytes: memory, spool_bytes: disk } = sink.stats().counters;
    expect(memory).toBeLessThanOrEqual(20_000);
    expect(disk).toBeGreaterThan(200_000);
    await waitFor('some batches', () => hub.received.length > 2);
    hub.acking = true;
    hub.say(encodeMessage({ kind: 'ack', ack: { sequence: 2 } }));
    await hub.kill();
    await hub.listen();
    await sink.ready();
    await sink.close();
    expect(storedEvents()).toEqual(range(1000));
    expect(existsSync(join(dir.file('spool'), 'h.b.one'))).toBe(false);
  });
});

describe('a hub that misbehaves', () => {
  test('garbage ends the connection, and the next one delivers', async () => {
    await hub.listen();
    hub.acking = false;
    const sink = link();
    sink.write(batchOf(0));
    await waitFor('the batch', () => hub.received.length === 1);
    hub.acking = true;
    hub.say(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await waitFor('a second hello', () => hub.hellos.length > 1);
    await sink.close();
    expect(storedEvents()).toEqual(range(10));
    expect(notices[0]).toMatch(/could not read from the link/);
  });

  test('an acknowledgement of what was never sent, and a repeated one, count nothing', async () => {
    await hub.listen();
    hub.acking = false;
    const sink = link();
    sink.write(batchOf(0));
    await waitFor('the batch', () => hub.received.length === 1);
    const ack = (sequence: number) => encodeMessage({ kind: 'ack', ack: { sequence } });
    hub.say(Buffer.concat([ack(1), ack(1), ack(0), ack(999)]));
    await waitFor('the acknowledgement', () => sink.stats().counters['events'] === 10);
    sink.write(batchOf(10));
    await waitFor('the second batch', () => hub.received.length === 2);
    expect(sink.stats().counters).toMatchObject({ events: 10, unacked_events: 10 });
    hub.say(ack(2));
    await sink.close();
    expect(sink.stats().counters).toMatchObject({ events: 20, batches: 2 });
  });

  test('a refusal is said once with its code, and the events wait on disk', async () => {
    hub = fakeHub({ path: dir.file('hub.sock'), refuse: { code: 'HUB_VERSION', message: 'could not take protocol 1' } });
    await hub.listen();
    const sink = link({ limits: { refusedRetryMs: 5, ...NO_HUB_COMES } });
    sink.write(batchOf(0));
    await waitFor('three attempts', () => hub.hellos.length >= 3);
    await sink.close();
    expect(notices.filter((notice) => notice.includes('HUB_VERSION'))).toHaveLength(1);
    expect(notices.at(-1)).toMatch(/10 events wait for the hub in .*h\.b\.one/);
  });
});

describe('the spool', () => {
  test('is private, and a later collector delivers it under its own name, once', async () => {
    const first = link({ hello: helloOf('h.b.dead', DEAD_PID), limits: { unackedBytes: 8000, segmentBytes: 8000, ...NO_HUB_COMES } });
    for (let i = 0; i < 30; i++) first.write(batchOf(i * 10));
    await first.close();
    const spool = join(dir.file('spool'), 'h.b.dead');
    expect(statSync(spool).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(spool)) expect(statSync(join(spool, name)).mode & 0o777).toBe(0o600);
    expect(notices.at(-1)).toMatch(/300 events wait/);

    await hub.listen();
    const second = link({ hello: helloOf('h.b.two') });
    await waitFor('the leftovers', () => notices.some((notice) => notice.includes('delivered 300 events')));
    second.write(batchOf(1000));
    await second.close();
    expect(storedEvents('h.b.dead')).toEqual(range(300));
    expect(storedEvents('h.b.two')).toEqual(range(10, 1000));
    expect(readdirSync(dir.file('spool'))).toEqual([]);
  });

  test('of a living collector is left alone', async () => {
    const living = link({ hello: helloOf('h.b.living'), limits: { unackedBytes: 1, ...NO_HUB_COMES } });
    living.write(batchOf(0));
    expect(existsSync(join(dir.file('spool'), 'h.b.living'))).toBe(true);
    await living.close();
    await hub.listen();
    const other = link({ hello: helloOf('h.b.two') });
    await waitFor('the other to be welcomed', () => other.connected);
    await other.close();
    expect(storedEvents('h.b.living')).toEqual([]);
  });

  test('over its cap drops the oldest and counts every event', async () => {
    const sink = link({ limits: { unackedBytes: 1, segmentBytes: 10_000, spoolBytes: 40_000 } });
    for (let i = 0; i < 100; i++) sink.write(batchOf(i * 10));
    const { refused = 0, spool_bytes: bytes } = sink.stats().counters;
    expect(refused).toBeGreaterThan(500);
    expect(bytes).toBeLessThanOrEqual(40_000);
    await hub.listen();
    await waitFor('delivery', () => sink.stats().counters['unacked_events'] === 0);
    expect(storedEvents()).toEqual(range(1000 - refused, refused));
    await sink.close();
  });

  test('a segment cut by a killed writer gives its whole batches, the rest is not invented', async () => {
    const first = link({ hello: helloOf('h.b.dead', DEAD_PID), limits: NO_HUB_COMES });
    for (let i = 0; i < 3; i++) first.write(batchOf(i * 10));
    await first.close();
    const spool = join(dir.file('spool'), 'h.b.dead');
    const segment = join(spool, readdirSync(spool).find((name) => name.endsWith('.segment')) ?? '');
    truncateSync(segment, statSync(segment).size - 7);
    await hub.listen();
    link({ hello: helloOf('h.b.two') });
    await waitFor('the leftovers', () => notices.some((notice) => notice.includes('delivered 20 events')));
    expect(storedEvents('h.b.dead')).toEqual(range(20));
  });

  test('links planted in it are not followed', async () => {
    const secret = dir.file('secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'hello.json'), JSON.stringify(helloOf('h.b.evil', DEAD_PID)));
    writeFileSync(join(secret, '0000000000000001.segment'), encodeMessage({ kind: 'batch', sequence: 1, jsonl: batchOf(0).jsonl }));
    mkdirSync(dir.file('spool'));
    symlinkSync(secret, join(dir.file('spool'), 'h.b.evil'));
    await hub.listen();
    const sink = link();
    await waitFor('the welcome', () => sink.connected);
    sink.write(batchOf(0));
    await sink.close();
    expect(storedEvents('h.b.evil')).toEqual([]);
    expect(readFileSync(join(secret, 'hello.json'), 'utf8')).toContain('evil');
  });

  test('a spool that cannot be written is said once and its events are counted', async () => {
    writeFileSync(dir.file('spool'), 'not a folder');
    const sink = link({ limits: { unackedBytes: 1 } });
    for (let i = 0; i < 3; i++) sink.write(batchOf(i * 10));
    expect(sink.stats().counters).toMatchObject({ refused: 30, spooled: 0 });
    expect(notices.filter((notice) => notice.includes('could not spool'))).toHaveLength(1);
    await sink.close();
  });
});

test('the socket path is asked at each attempt', async () => {
  await hub.listen();
  const asked: number[] = [];
  const sink = link({
    socketPath: () => {
      asked.push(1);
      return asked.length < 3 ? dir.file('nowhere.sock') : dir.file('hub.sock');
    },
  });
  sink.write(batchOf(0));
  await waitFor('the third attempt', () => sink.connected);
  await sink.close();
  expect(asked).toHaveLength(3);
  expect(storedEvents()).toEqual(range(10));
});

test('a batch over the frame limit is cut between lines; a line over it is refused', async () => {
  const lines = batchOf(100, 10).jsonl;
  const lineBytes = lines.length / 10;
  const { pieces, refusedLines } = splitLines(lines, lineBytes * 3 + 16);
  expect(pieces.map(({ events }) => events)).toEqual([3, 3, 3, 1]);
  expect(Buffer.concat(pieces.map(({ jsonl }) => jsonl)).equals(lines)).toBe(true);
  expect(refusedLines).toBe(0);
  const long = Buffer.concat([Buffer.from('a\n'), Buffer.alloc(100, 'b'), Buffer.from('\nc\n')]);
  const cut = splitLines(long, 66);
  expect(cut.refusedLines).toBe(1);
  expect(cut.pieces.map(({ jsonl }) => jsonl.toString())).toEqual(['a\n', 'c\n']);
});
