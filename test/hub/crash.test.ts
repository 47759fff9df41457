import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createFrameDecoder, decodeFrame, encodeMessage, type Message } from '../../src/link/codec.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';
import type { ApiEvent, Page } from '../../src/hub/api.ts';
import { ensureHub, stopHub, type RunningHub } from '../../src/hub/spawn.ts';
import { superviseHub } from '../../src/hub/supervise.ts';
import { findUser } from '../../src/user.ts';
import { tempDir } from '../helpers/files.ts';
import { openLinkClient } from '../helpers/link-client.ts';
import { waitFor } from '../helpers/wait.ts';
import { batch, line } from './lines.ts';
import { startTestHub } from './support.ts';

const user = findUser(String(process.getuid?.() ?? 0));

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Numbers of the events that the store has, in order. */
async function storedNumbers(url: string, session: string): Promise<number[]> {
  const { origin, searchParams } = new URL(url);
  const numbers: number[] = [];
  let cursor = '';
  do {
    const response = await fetch(`${origin}/api/v1/events?session=${session}&limit=5000${cursor}`, { headers: { authorization: `Bearer ${searchParams.get('token')}` } });
    if (!response.ok) throw new Error(await response.text());
    const page = await response.json() as Page<ApiEvent>;
    numbers.push(...page.items.map(({ id }) => Number(id.split('.').at(-1))));
    cursor = page.next === null ? '' : `&cursor=${page.next}`;
  } while (cursor !== '');
  return numbers;
}

/** A collector as the protocol wants it: numbered batches, kept until acknowledged, sent again after a reconnect. */
function startCollector(socketPath: string, options: { readonly collector: string; readonly batches: readonly Buffer[] }) {
  let acknowledged = 0;
  let resent = 0;
  const ended = new AbortController();
  const done = run();

  async function run(): Promise<void> {
    while (!ended.signal.aborted && acknowledged < options.batches.length) {
      await connectOnce().catch(() => undefined);
      await sleep(50);
    }
  }

  function connectOnce(): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(socketPath);
      const decoder = createFrameDecoder();
      const onEnded = (): void => void socket.destroy();
      socket.on('error', () => undefined).on('close', () => {
        ended.signal.removeEventListener('abort', onEnded);
        resolve();
      });
      ended.signal.addEventListener('abort', onEnded, { once: true });
      socket.on('data', (chunk) => {
        for (const message of decoder.push(chunk).map((frame): Message => decodeFrame(frame))) {
          if (message.kind === 'welcome') {
            resent += 1;
            for (let n = acknowledged; n < options.batches.length; n += 1) {
              socket.write(encodeMessage({ kind: 'batch', sequence: n + 1, jsonl: options.batches[n] ?? Buffer.alloc(0) }));
            }
          }
          if (message.kind === 'ack') acknowledged = message.ack.sequence;
          if (acknowledged === options.batches.length) socket.end();
        }
      });
      const [host = '', boot = ''] = options.collector.split('.');
      socket.write(encodeMessage({ kind: 'hello', hello: {
        protocol: PROTOCOL_VERSION, version: 'test', collector: options.collector, host, boot, pid: process.pid, command: ['test'], redaction: true,
      } }));
    });
  }

  return {
    acknowledged: () => acknowledged,
    connections: () => resent,
    done,
    stop: () => ended.abort(),
  };
}

const BATCHES = 150;
const PER_BATCH = 400;
const batches = (session: string, collector: string): Buffer[] =>
  Array.from({ length: BATCHES }, (_, n) => batch(n * PER_BATCH + 1, PER_BATCH, { session, collector }));
const ALL = Array.from({ length: BATCHES * PER_BATCH }, (_, n) => n + 1);

describe('kill -9 while batches arrive', () => {
  test('of the engine: every batch is stored once, and no acknowledged one is lost', async () => {
    const hub = await startTestHub();
    try {
      const collector = 'crash.boot.engine';
      const run = startCollector(hub.hub.socketPath, { collector, batches: batches('engine', collector) });
      for (const share of [0.2, 0.5, 0.8]) {
        await waitFor(`${share} of the batches`, () => run.acknowledged() >= BATCHES * share);
        const pid = await waitFor('an engine', () => hub.hub.enginePid ?? undefined);
        process.kill(pid, 'SIGKILL');
        await waitFor('the engine to be replaced', () => hub.hub.enginePid !== null && hub.hub.enginePid !== pid);
      }
      await run.done;
      expect(run.connections()).toBe(1);
      expect(await storedNumbers(hub.hub.url, 'engine')).toEqual(ALL);
    } finally {
      await hub.close();
    }
  });

  test('of the hub: a supervised one comes back under the same address, and every batch is stored once', async () => {
    const dir = tempDir();
    const dataDir = dir.file('data');
    const restarts: RunningHub[] = [];
    const supervised = await superviseHub({ user, dataDir, port: 0, onRestart: (hub) => restarts.push(hub) });
    const first = supervised.current;
    const collector = 'crash.boot.hub';
    const run = startCollector(first.socketPath, { collector, batches: batches('hub', collector) });
    try {
      for (const share of [0.2, 0.6]) {
        await waitFor(`${share} of the batches`, () => run.acknowledged() >= BATCHES * share, 60_000);
        const before = supervised.current.pid;
        process.kill(before, 'SIGKILL');
        await waitFor('the hub to be back', () => supervised.current.pid !== before, 60_000);
      }
      await run.done;
      expect(restarts).toHaveLength(2);
      expect(supervised.current).toMatchObject({ url: first.url, port: first.port, socketPath: first.socketPath });
      expect(await storedNumbers(supervised.current.url, 'hub')).toEqual(ALL);
    } finally {
      run.stop();
      supervised.close();
      await stopHub(dataDir, user);
      dir.remove();
    }
  });

  test('of the hub: its engine goes too, and the directory is free again', async () => {
    const dir = tempDir();
    const dataDir = dir.file('data');
    const hub = await ensureHub({ user, dataDir, port: 0 });
    const children = readFileSync(`/proc/${hub.pid}/task/${hub.pid}/children`, 'utf8').trim().split(' ').map(Number);
    expect(children).toHaveLength(1);
    process.kill(hub.pid, 'SIGKILL');
    await waitFor('the engine to leave', () => !children.some(isAlive));
    const again = await ensureHub({ user, dataDir, port: 0 });
    expect(again).toMatchObject({ started: true });
    expect(again.pid).not.toBe(hub.pid);
    await stopHub(dataDir, user);
    dir.remove();
  });
});

describe('the collectors\' socket', () => {
  test('refuses another protocol by name', async () => {
    const hub = await startTestHub();
    const socket = connect(hub.hub.socketPath);
    const decoder = createFrameDecoder();
    const answers: Message[] = [];
    socket.on('data', (chunk) => answers.push(...decoder.push(chunk).map((frame) => decodeFrame(frame))));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(encodeMessage({ kind: 'hello', hello: {
      protocol: PROTOCOL_VERSION + 1, version: '9.9.9', collector: 'a.b.c', host: 'a', boot: 'b', pid: 1, command: [], redaction: true,
    } }));
    await closed;
    expect(answers).toMatchObject([{ kind: 'refused', refused: { code: 'HUB_VERSION' } }]);
    await hub.close();
  });

  test('ends a connection that sends garbage, and serves the others', async () => {
    const hub = await startTestHub();
    try {
      const garbage = connect(hub.hub.socketPath);
      garbage.on('error', () => undefined);
      const closed = new Promise((resolve) => garbage.once('close', resolve));
      garbage.write(Buffer.alloc(64, 0xff));
      await closed;
      const early = connect(hub.hub.socketPath);
      early.on('error', () => undefined);
      const ended = new Promise((resolve) => early.once('close', resolve));
      early.write(encodeMessage({ kind: 'batch', sequence: 1, jsonl: Buffer.from(line({ sequence: 1, session: 'early' })) }));
      await ended;
      const link = await openLinkClient(hub.hub.socketPath, 'good.boot.c');
      await link.acknowledged(await link.send(Buffer.from(line({ sequence: 1, session: 'good' }))));
      link.close();
      expect(await storedNumbers(hub.hub.url, 'good')).toEqual([1]);
      expect(await storedNumbers(hub.hub.url, 'early')).toEqual([]);
    } finally {
      await hub.close();
    }
  });

  test('a hub that ends acknowledges what it has begun to store', async () => {
    const hub = await startTestHub();
    const link = await openLinkClient(hub.hub.socketPath, 'drain.boot.c');
    const sequence = await link.send(batch(1, 2000, { session: 'drain' }));
    const acknowledged = link.acknowledged(sequence);
    await waitFor('the batch to arrive', async () =>
      (await hub.get<{ live: unknown; store: { counters: Record<string, number> } }>('/api/v1/info')).store.counters['batches'] === 1);
    await acknowledged;
    await hub.close();
    link.close();
  });
});
