/** Secrets of every kind in every place, through the whole program: none in a file, a table or an answer, and each told by one name. */
import { readFileSync } from 'node:fs';
import { of } from 'rxjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApiEvent, Page } from '../../src/hub/api.ts';
import { type Event, SOURCES } from '../../src/event.ts';
import { createHubLink } from '../../src/link/client.ts';
import { PROTOCOL_VERSION } from '../../src/link/protocol.ts';
import { runPipeline } from '../../src/pipeline.ts';
import { createJsonlSink } from '../../src/sinks/jsonl.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { KEY_BLOCK_PARTS, SECRETS, eventsWith, eventsWithKeyBlock } from '../helpers/secrets.ts';
import { filesOf } from '../helpers/stored-files.ts';
import { startTestHub, type TestHub } from './support.ts';

const FIRST_PID = 1000;
const events = [...SECRETS.flatMap((secret, index) => eventsWith(secret, FIRST_PID + index)), ...eventsWithKeyBlock(FIRST_PID + SECRETS.length)];
const texts = [...SECRETS.map(({ text }) => text), ...KEY_BLOCK_PARTS];

let hub: TestHub;
let output: string;

beforeAll(async () => {
  hub = await startTestHub();
  output = hub.dir.file('out.jsonl');
  await push(events, { path: output, redact: true, link: true });
});

afterAll(async () => {
  await hub.close();
});

async function push(input: readonly Event[], { path, redact, link }: { readonly path: string; readonly redact: boolean; readonly link: boolean }): Promise<void> {
  const sinks: Sink[] = [createJsonlSink({ path, onNotice: fail })];
  if (link) sinks.push(hubLink());
  let sequence = 1_000_000;
  await runPipeline({
    runner: { batches: of(input), stop: () => Promise.resolve(), stats: () => [] },
    sinks, nextId: () => `h.b.c.${++sequence}`, sources: SOURCES, raw: true, redact,
  }).done;
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

test('without redaction every secret would be seen: in the file, in each source', async () => {
  const open = hub.dir.file('open.jsonl');
  await push(events, { path: open, redact: false, link: false });
  const lines = readFileSync(open, 'utf8').split('\n');
  for (const text of texts) expect(lines.some((line) => line.includes(text)), text).toBe(true);
  const sources = ['process', 'readline', 'stdio', 'file', 'tls', 'http', 'sse', 'mcp'];
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

test('no answer of the API holds one: neither a list nor an event as a whole', async () => {
  const stored = await allEvents();
  expect(stored.length).toBeGreaterThan(events.length);
  for (const list of ['info', 'sessions', 'processes', 'exchanges', 'probes']) expectNone(list, await (await hub.request(`/api/v1/${list}`)).text());
  for (const { id, source } of stored) expectNone(`${source} ${id}`, await (await hub.request(`/api/v1/events/${id}`)).text());
});

test('each use of a key is told by the same name, which no other key has', async () => {
  const stored = await allEvents();
  const names = new Map<number, Set<string>>();
  for (const { pid, data } of stored) {
    for (const name of (data['secrets'] ?? []) as readonly string[]) names.set(pid, (names.get(pid) ?? new Set()).add(name));
  }
  for (const [index, { kind }] of [...SECRETS, { kind: 'private_key' }].entries()) {
    const pid = FIRST_PID + index;
    expect([...names.get(pid) ?? []], kind).toEqual([expect.stringMatching(new RegExp(`^${kind}:[0-9a-f]{12}$`))]);
    const carriers = stored.filter((event) => event.pid === pid && event.source !== 'tls');
    expect(carriers.length).toBeGreaterThan(3);
    // Each carried the key: the exchange of a stream by its body.
    expect(carriers.filter(({ data }) => !('secrets' in data)), kind).toEqual([]);
  }
  expect(new Set([...names.values()].flatMap((one) => [...one])).size).toBe(SECRETS.length + 1);
});
