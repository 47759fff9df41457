/**
 * The hub: how many events a second it stores in the embedded engine, through a
 * collector's link, each batch acknowledged when it is in the store; and how
 * long an event takes from that socket to a page.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { LIMITS } from '../../src/limits.ts';
import { createHubLink } from '../../src/link/client.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';
import { VERSION } from '../../src/version.ts';
import { startHub, type TestHub } from '../helpers/hub.ts';
import { openLinkClient, type LinkClient } from '../helpers/link-client.ts';
import { waitFor } from '../helpers/wait.ts';
import { median, type Bench, type BenchContext, type Figure } from './figure.ts';

const EVENTS_PER_BATCH = LIMITS.batchEvents;
const BATCHES = 300;
const RUNS = 3;
const LATENCY_ROUNDS = 60;
const STORE_DEADLINE_MS = 120_000;
const LIVE_SUBPROTOCOL = 'agentsight.live.v1';
const PAGE_DEADLINE_MS = 10_000;

export const storeBench: Bench = {
  name: 'store',
  about: `hub into the embedded engine, ${(EVENTS_PER_BATCH * BATCHES).toLocaleString('en')} stdio events in batches of ${EVENTS_PER_BATCH.toLocaleString('en')}, ${RUNS} runs`,
  run,
};

async function run(context: BenchContext): Promise<readonly Figure[]> {
  const hub = await startHub(join(context.directory, 'data'));
  try {
    const rates: number[] = [];
    for (let number = 1; number <= RUNS; number++) {
      const { rate, perBatch } = await storeEvents(hub, context.directory, `bench.boot.run${number}`);
      context.note(`run ${number}: ${Math.round(rate).toLocaleString('en')} events/s in batches of ${Math.round(perBatch).toLocaleString('en')} on average`);
      rates.push(rate);
    }
    await checkStored(hub, RUNS * BATCHES * EVENTS_PER_BATCH);
    const batch = makeBatch('bench.boot.floor', 0);
    return [
      {
        bench: 'store', name: 'events a second', unit: '/s', target: { kind: 'at least', value: 100_000 }, value: median(rates),
        floor: { value: fileRate(batch, context.directory), what: 'the same batches written to a file, each with an fsync' },
        method: `median of ${RUNS} runs; ${Math.round(batch.length / EVENTS_PER_BATCH)} B a line; from the first batch until the last is acknowledged, all found again in the store`,
      },
      ...(await latencyFigures(hub)),
    ];
  } finally {
    await hub.close();
  }
}

interface StoreRun {
  readonly rate: number;
  /** Events in a batch as it was stored. */
  readonly perBatch: number;
}

/** By the collector's own link, which joins batches while the hub is behind. */
async function storeEvents(hub: TestHub, directory: string, collector: string): Promise<StoreRun> {
  const batches = Array.from({ length: BATCHES }, (_, number) => makeBatch(collector, number));
  const [host = '', boot = ''] = collector.split('.');
  const link = createHubLink({
    socketPath: hub.socket,
    hello: { protocol: PROTOCOL_VERSION, version: VERSION, collector, host, boot, pid: process.pid, command: ['bench'], redaction: true },
    spoolDir: join(directory, 'spool'),
    onNotice: (text) => process.stderr.write(`  ${text}\n`),
  });
  await waitFor('the hub to welcome us', () => link.connected);
  const start = performance.now();
  for (const jsonl of batches) {
    await link.ready();
    link.write({ count: EVENTS_PER_BATCH, events: [], jsonl });
  }
  await waitFor('the last acknowledgement', () => link.stats().counters['unacked_events'] === 0, STORE_DEADLINE_MS);
  const seconds = (performance.now() - start) / 1000;
  const { batches: joined = 0, spooled = 0 } = link.stats().counters;
  await link.close();
  if (spooled > 0) throw new Error(`${spooled} events went by way of the disk`);
  return { rate: (BATCHES * EVENTS_PER_BATCH) / seconds, perBatch: (BATCHES * EVENTS_PER_BATCH) / joined };
}

/** A rate of events that are not in the store afterwards would be no rate. */
async function checkStored(hub: TestHub, expected: number): Promise<void> {
  const info = (await hub.get('/info')) as { readonly store: { readonly events: number } };
  if (info.store.events !== expected) throw new Error(`acknowledged ${expected} events, the store has ${info.store.events}`);
}

function makeBatch(collector: string, number: number): Buffer {
  const lines: string[] = [];
  for (let index = 0; index < EVENTS_PER_BATCH; index++) lines.push(makeLine(collector, number * EVENTS_PER_BATCH + index));
  return Buffer.from(lines.join(''));
}

/** As the collector writes one: a line of output of 144 bytes, each one different. */
function makeLine(collector: string, sequence: number): string {
  const timestamp = BigInt(Date.now()) * 1_000_000n + BigInt(sequence);
  const payload = `${String(sequence).padStart(12, '0')} ${'the quick brown fox jumps over the lazy dog '.repeat(3)}`.slice(0, 143);
  const data = {
    fd: 1, role: 'stdout', target: '/dev/null', direction: 'write', len: 144, total: 144, offset: 0,
    truncated: false, fault: false, tid: 4242, payload: `${payload}\n`, payload_encoding: 'utf8',
  };
  const process = `${collector}.k3j2h1.4242`;
  const rest = { source: 'stdio', pid: 4242, comm: 'flood', data, id: `${collector}.${sequence}`, process, session: process };
  return `{"timestamp":${timestamp},${JSON.stringify(rest).slice(1)}\n`;
}

function fileRate(batch: Buffer, directory: string): number {
  const file = openSync(join(directory, 'floor.jsonl'), 'w');
  const start = performance.now();
  for (let number = 0; number < BATCHES; number++) {
    writeSync(file, batch);
    fsyncSync(file);
  }
  const seconds = (performance.now() - start) / 1000;
  closeSync(file);
  return (BATCHES * EVENTS_PER_BATCH) / seconds;
}

async function latencyFigures(hub: TestHub): Promise<Figure[]> {
  const collector = 'bench.boot.live';
  const link = await openLinkClient(hub.socket, collector);
  const page = await openPage(hub);
  try {
    const toPage: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < LATENCY_ROUNDS; round++) {
      toPage.push(await timeToPage(link, page, { collector, round }));
      const start = performance.now();
      await fetch(`${hub.origin}/health`).then((response) => response.text());
      bare.push(performance.now() - start);
    }
    return [{
      bench: 'store', name: 'socket to page', unit: 'ms', target: null, value: median(toPage),
      floor: { value: median(bare), what: 'GET /health from the same hub' },
      method: `median of ${LATENCY_ROUNDS}; one event written to the collector socket until its frame is at a live socket`,
    }];
  } finally {
    page.close();
    link.close();
  }
}

interface Page {
  /** Resolves when an event with this id has arrived. */
  arrived(id: string): Promise<void>;
  close(): void;
}

async function openPage(hub: TestHub): Promise<Page> {
  const socket = new WebSocket(`${hub.origin.replace('http', 'ws')}/api/v1/live?token=${hub.token}`, LIVE_SUBPROTOCOL, { origin: hub.origin });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return {
    arrived: (id) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${id} did not reach the page in ${PAGE_DEADLINE_MS} ms`)), PAGE_DEADLINE_MS);
      const look = (frame: { toString(): string }): void => {
        if (!frame.toString().includes(`"${id}"`)) return;
        clearTimeout(timer);
        socket.off('message', look);
        resolve();
      };
      socket.on('message', look);
    }),
    close: () => socket.terminate(),
  };
}

async function timeToPage(link: LinkClient, page: Page, { collector, round }: { collector: string; round: number }): Promise<number> {
  const arrived = page.arrived(`${collector}.${round}`);
  const start = performance.now();
  await link.send(Buffer.from(makeLine(collector, round)));
  await arrived;
  return performance.now() - start;
}
