/** Secrets of every kind in every place, through the whole program: none in a file, a table, a line or an answer, and each told by one name. */
import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { of } from 'rxjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ApiEvent, LiveFrame, Page } from '../../src/hub/api.ts';
import { type Event, SOURCES } from '../../src/event.ts';
import { createHubLink } from '../../src/link/client.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';
import { runPipeline } from '../../src/pipeline.ts';
import { createConsoleSink } from '../../src/sinks/console.ts';
import { createJsonlSink } from '../../src/sinks/jsonl.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { KEY_BLOCK_PARTS, OTHER_PARTS, SECRETS, eventsWith, eventsWithKeyBlock, eventsWithOthers } from '../helpers/secrets.ts';
import { filesOf } from '../helpers/stored-files.ts';
import { waitFor } from '../helpers/wait.ts';
import { startTestHub, type TestHub } from './support.ts';

const FIRST_PID = 1000;
const OTHERS_PID = 2000;
const events = [
  ...SECRETS.flatMap((secret, index) => eventsWith(secret, FIRST_PID + index)), ...eventsWithKeyBlock(FIRST_PID + SECRETS.length), ...eventsWithOthers(OTHERS_PID),
];
const texts = [...SECRETS.map(({ text }) => text), ...KEY_BLOCK_PARTS, ...OTHER_PARTS];
/** Chunks of plaintext: what is read of them is told by other events. */
const RAW: readonly string[] = ['tls', 'net'];

let hub: TestHub;
let output: string;
let live: LivePage;
const printed = { json: collected(), sentences: collected() };

beforeAll(async () => {
  hub = await startTestHub();
  output = hub.dir.file('out.jsonl');
  live = await openPage();
  await push(events, { redact: true, sinks: [
    createJsonlSink({ path: output, onNotice: fail }),
    createConsoleSink({ stream: printed.json.stream, json: true, onClosed: (failure) => fail(String(failure)) }),
    createConsoleSink({ stream: printed.sentences.stream, json: false, routine: true, onClosed: (failure) => fail(String(failure)) }),
    hubLink(),
  ] });
});

afterAll(async () => {
  live.close();
  await hub.close();
});

async function push(input: readonly Event[], { redact, sinks }: { readonly redact: boolean; readonly sinks: readonly Sink[] }): Promise<void> {
  let sequence = 1_000_000;
  await runPipeline({
    runner: { batches: of(input), stop: () => Promise.resolve(), stats: () => [] },
    sinks, nextId: () => `h.b.c.${++sequence}`, sources: SOURCES, raw: true, redact,
  }).done;
}

interface LivePage {
  /** All that it was sent. */
  text(): string;
  events(): readonly ApiEvent[];
  close(): void;
}

async function openPage(): Promise<LivePage> {
  const socket = new WebSocket(`${hub.origin.replace('http', 'ws')}/api/v1/live?token=${hub.hub.token}`, 'agentsight.live.v1');
  const frames: string[] = [];
  socket.on('message', (frame: Buffer) => frames.push(frame.toString('utf8')));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return {
    text: () => frames.join('\n'),
    events: () => frames.map((frame) => JSON.parse(frame) as LiveFrame).flatMap((frame) => (frame.kind === 'events' ? frame.events : [])),
    close: () => socket.terminate(),
  };
}

function collected(): { readonly stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

function hubLink(): Sink {
  return createHubLink({
    socketPath: hub.hub.socketPath, spoolDir: hub.dir.file('spool'), onNotice: fail,
    hello: { protocol: PROTOCOL_VERSION, version: '0', collector: 'h.b.c', host: 'h', boot: 'b', pid: 1, command: ['agent'], redaction: true },
  });
}

function fail(text: string): void {
  throw new Error(text);
}

/** With the secrets of `texts` that it shows. */
function expectNone(name: string, content: string | Buffer): void {
  expect(texts.filter((text) => content.includes(text)), name).toEqual([]);
}

async function allEvents(): Promise<readonly ApiEvent[]> {
  const items: ApiEvent[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page<ApiEvent> = await hub.get(`/api/v1/events?limit=500${cursor === '' ? '' : `&cursor=${cursor}`}`);
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

/** Some at a time. */
async function inTurns<Item>(items: readonly Item[], ask: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await ask(item);
  }));
}

test('without redaction every secret would be seen: in the file, in each source', async () => {
  const open = hub.dir.file('open.jsonl');
  await push(events, { redact: false, sinks: [createJsonlSink({ path: open, onNotice: fail })] });
  const lines = readFileSync(open, 'utf8').split('\n');
  for (const text of texts) expect(lines.some((line) => line.includes(text)), text).toBe(true);
  const sources = ['process', 'readline', 'stdio', 'file', 'tls', 'net', 'http', 'sse', 'websocket', 'mcp'];
  for (const source of sources) expect(lines.some((line) => line.includes(`"source":"${source}"`) && line.includes(SECRETS[0]?.text ?? '')), source).toBe(true);
});

test('no file holds one: not the capture, not the store, not the spool', () => {
  const files = [...filesOf(hub.dir.path)].filter(([path]) => path !== hub.dir.file('open.jsonl'));
  for (const [path, content] of files) expectNone(path, content);
  // The same look finds what stood beside a secret in the capture and in the store.
  const found = files.filter(([, content]) => content.includes('grant_type=password&password=')).map(([path]) => path);
  expect(found).toContain(output);
  expect(found.some((path) => path.startsWith(hub.dir.file('data')))).toBe(true);
});

test('no line on the terminal holds one, nor one of --json, nor the log of the hub', () => {
  expectNone('json', printed.json.text());
  expectNone('sentences', printed.sentences.text());
  expectNone('log', hub.logged.join('\n'));
  // They tell of what stood beside the secrets.
  expect(printed.json.text().split('\n').length).toBeGreaterThan(events.length);
  expect(printed.sentences.text()).toContain('--api-key');
});

test('no frame of the live stream holds one', async () => {
  const stored = await allEvents();
  await waitFor('every event in the live stream', () => live.events().length >= stored.length);
  expect(new Set(live.events().map(({ id }) => id))).toEqual(new Set(stored.map(({ id }) => id)));
  expectNone('live', live.text());
});

test('no answer of the API holds one: neither a list nor an event as a whole', async () => {
  const stored = await allEvents();
  expect(stored.length).toBeGreaterThan(events.length);
  for (const list of ['info', 'sessions', 'processes', 'exchanges', 'probes']) expectNone(list, await (await hub.request(`/api/v1/${list}`)).text());
  await inTurns(stored, async ({ id, source }) => expectNone(`${source} ${id}`, await (await hub.request(`/api/v1/events/${id}`)).text()));
});

test('each use of a key is told by the same name, which no other key has', async () => {
  const stored = await allEvents();
  const names = new Map<number, Set<string>>();
  for (const { pid, data } of stored) {
    if (pid >= OTHERS_PID) continue;
    for (const name of (data['secrets'] ?? []) as readonly string[]) names.set(pid, (names.get(pid) ?? new Set()).add(name));
  }
  for (const [index, { kind }] of [...SECRETS, { kind: 'private_key' }].entries()) {
    const pid = FIRST_PID + index;
    expect([...names.get(pid) ?? []], kind).toEqual([expect.stringMatching(new RegExp(`^${kind}:[0-9a-f]{12}$`))]);
    const carriers = stored.filter((event) => event.pid === pid && !RAW.includes(event.source));
    expect(carriers.length).toBeGreaterThan(3);
    // Each carried the key: the exchange of a stream by its body. A handshake has none.
    expect(carriers.filter(({ data }) => !('secrets' in data) && data['status'] !== 101), kind).toEqual([]);
  }
  expect(new Set([...names.values()].flatMap((one) => [...one])).size).toBe(SECRETS.length + 1);
});
