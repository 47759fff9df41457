import { connect } from 'node:net';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ApiEvent, Info, LiveFrame } from '../../src/hub/api.ts';
import { LIMITS } from '../../src/limits.ts';
import { openLinkClient, type LinkClient } from '../helpers/link-client.ts';
import { waitFor } from '../helpers/wait.ts';
import { batch, line, START_NS } from './lines.ts';
import { startTestHub, type TestHub } from './support.ts';

let hub: TestHub;
let link: LinkClient;

beforeAll(async () => {
  hub = await startTestHub();
  link = await openLinkClient(hub.hub.socketPath, 'live.boot.coll');
});

afterAll(async () => {
  link.close();
  await hub.close();
});

function info(): Promise<Info> {
  return hub.get<Info>('/api/v1/info');
}

interface TestPage {
  readonly frames: { readonly at: number; readonly frame: LiveFrame }[];
  events(): readonly ApiEvent[];
  dropped(): number;
  close(): void;
}

async function openPage(session?: string): Promise<TestPage> {
  const query = session === undefined ? '' : `&session=${encodeURIComponent(session)}`;
  const socket = new WebSocket(`${hub.origin.replace('http', 'ws')}/api/v1/live?token=${hub.hub.token}${query}`, 'agentsight.live.v1');
  const frames: { at: number; frame: LiveFrame }[] = [];
  socket.on('message', (text: Buffer) => frames.push({ at: performance.now(), frame: JSON.parse(text.toString('utf8')) as LiveFrame }));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const eventFrames = () => frames.flatMap(({ frame }) => (frame.kind === 'events' ? [frame] : []));
  return {
    frames,
    events: () => eventFrames().flatMap(({ events }) => events),
    dropped: () => eventFrames().reduce((sum, { dropped }) => sum + dropped, 0),
    close: () => socket.terminate(),
  };
}

describe('the live stream', () => {
  test('greets, tells the state every second, and gives events with every digit of their time', async () => {
    const page = await openPage();
    const timestamp = START_NS + 123_456_789n;
    await link.send(Buffer.from(line({ sequence: 1, timestamp, session: 'digits', data: { text: 'x', big: 1 } })));
    await waitFor('the event', () => page.events().length === 1);
    expect(page.events()[0]).toMatchObject({ timestamp: String(timestamp), session: 'digits', data: { text: 'x', big: 1 } });
    expect(page.frames[0]?.frame).toMatchObject({ kind: 'hello', hub: hub.hub.hub });
    await waitFor('two states', () => page.frames.filter(({ frame }) => frame.kind === 'status').length >= 2);
    page.close();
  });

  test('cuts long strings and says so', async () => {
    const page = await openPage();
    await link.send(Buffer.from(line({ sequence: 2, data: { body: 'é'.repeat(10_000), short: 's' } })));
    await waitFor('the event', () => page.events().length === 1);
    expect(page.events()[0]).toMatchObject({ cut: true, data: { body: 'é'.repeat(2048), short: 's' } });
    page.close();
  });

  test('gives a page its session, and what belongs to no session', async () => {
    const page = await openPage('mine');
    await link.send(Buffer.concat([batch(10, 5, { session: 'other' }), batch(20, 3, { session: 'mine' }), batch(30, 1, { session: null, process: null })]));
    await waitFor('the events', () => page.events().length === 4);
    expect(page.events().map(({ session }) => session)).toEqual(['mine', 'mine', 'mine', null]);
    page.close();
  });

  test('sends at most 20 frames a second, and accounts for every event of a flood', async () => {
    const page = await openPage();
    const total = 40 * 2000;
    for (let n = 0; n < 40; n += 1) await link.send(batch(100_000 + n * 2000, 2000, { session: 'flood' }));
    await waitFor('all to be sent or dropped', () => page.events().length + page.dropped() === total);
    expect(page.events().length).toBeGreaterThan(0);
    const times = page.frames.filter(({ frame }) => frame.kind === 'events').map(({ at }) => at);
    const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
    expect(times.length).toBeLessThanOrEqual(20 * seconds + 3);
    page.close();
  });

  test('tells a page of one session what was dropped of that, and of no other', async () => {
    const [mine, all] = await Promise.all([openPage('rare'), openPage()]);
    const rounds = 75;
    const lines = Array.from({ length: rounds }, (_, n) => {
      const first = 200_000 + n * 2000;
      const parts = [batch(first, 1990, { session: 'common' }), batch(first + 1990, 9, { session: 'rare' }), line({ sequence: first + 1999, session: null, process: null })];
      return Buffer.concat(parts.map((part) => Buffer.from(part)));
    });
    // Each more than may wait for the pages, and it takes 25 frames: the next one finds it waiting.
    const floods = [0, 25, 50].map((from) => Buffer.concat(lines.slice(from, from + 25)));
    for (const flood of floods) expect(flood.length).toBeGreaterThan(LIMITS.liveQueuedBytes);
    await Promise.all(floods.map((flood) => link.send(flood)));
    await waitFor('all to be told', () => all.events().length + all.dropped() === rounds * 2000);
    await waitFor('the rare ones to be told', () => mine.events().length + mine.dropped() === rounds * 10);
    expect(all.dropped()).toBeGreaterThan(0);
    mine.close();
    all.close();
  });

  test('drops for a page that does not read, and tells it how many', async () => {
    const stuck = await openStuckPage();
    const reader = await openPage();
    const noise = randomBytes(750).toString('base64');
    let sent = 0;
    const before = (await info()).live.dropped;
    await waitFor('events to be dropped', async () => {
      await link.send(batch(1_000_000 + sent, 2000, { session: 'stuck', data: { noise } }));
      sent += 2000;
      return (await info()).live.dropped > before;
    }, 60_000);
    stuck.resume();
    await waitFor('the count to arrive, though nothing follows it', () => stuck.dropped() > 0);
    reader.close();
    stuck.close();
    await waitFor('the pages to be gone', async () => (await info()).live.pages === 0);
  });
});

/** A socket that finishes the handshake and then reads nothing until told to. */
async function openStuckPage() {
  const socket = connect(hub.hub.port, '127.0.0.1');
  let text = '';
  socket.write([
    `GET /api/v1/live?token=${hub.hub.token} HTTP/1.1`, `Host: 127.0.0.1:${hub.hub.port}`, 'Connection: Upgrade', 'Upgrade: websocket',
    'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Protocol: agentsight.live.v1', '', '',
  ].join('\r\n'));
  await new Promise((resolve) => socket.once('readable', resolve));
  return {
    resume() {
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        // Only the end of each frame matters: its count.
        text = (text + chunk).slice(-4_000_000);
      });
    },
    dropped(): number {
      return [...text.matchAll(/"dropped":(\d+)\}/g)].reduce((sum, match) => sum + Number(match[1]), 0);
    },
    close: () => socket.destroy(),
  };
}
