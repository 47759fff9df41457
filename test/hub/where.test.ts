/** Filters of the API: the same answers as the analyzer gives for the same events, page by page, over anything that is stored. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileWhere } from '../../analyzers/where/matches.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import { toLine } from '../../src/event-json.ts';
import type { Event } from '../../src/event.ts';
import type { ApiEvent, Page, Problem } from '../../src/hub/api.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunk, eventOf, everySource, httpData, stdioEvent } from '../helpers/events.ts';
import { openLinkClient } from '../helpers/link-client.ts';
import { batch } from './lines.ts';
import { startTestHub, type TestHub } from './support.ts';

/** Ids of their own, and times of which some are equal. */
const events: readonly Event[] = [
  ...everySource(),
  eventOf('http', { ...httpData(), status: 429, path: '/v1/é "x"', response_body: 'y'.repeat(LIMITS.listRowBytes * 2) + 'needle' }),
  eventOf('http', { ...httpData(), status: 200, method: 'GET', latency_ms: 0.5, secrets: ['anthropic:3fa9c2d81b07'] }),
  stdioEvent(chunk(Buffer.from('Hello WORLD é\n'))), stdioEvent(chunk(Buffer.of(0xff, 0xfe, 0x41))),
].map((event, index) => ({ ...event, id: `h.b.c.${index + 1}`, pid: index % 3 === 0 ? 77 : event.pid, timestamp: event.timestamp + BigInt(Math.floor(index / 2)) }) as Event);
const CROWD = 1500;

let hub: TestHub;

beforeAll(async () => {
  hub = await startTestHub();
  const link = await openLinkClient(hub.hub.socketPath, 'h.b.c');
  await link.send(Buffer.from(events.map((event) => `${toLine(event)}\n`).join('')));
  await link.acknowledged(await link.send(batch(1, CROWD, { session: 'crowd', collector: 'h.b.crowd' })));
  link.close();
});

afterAll(async () => {
  await hub.close();
});

async function idsOf(where: string, query = ''): Promise<{ readonly ids: readonly string[]; readonly pages: readonly number[] }> {
  const ids: string[] = [];
  const pages: number[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page<ApiEvent> = await hub.get(`/api/v1/events?where=${encodeURIComponent(where)}${query}${cursor === '' ? '' : `&cursor=${cursor}`}`);
    ids.push(...page.items.map(({ id }) => id));
    pages.push(page.items.length);
    cursor = page.next;
  }
  return { ids, pages };
}

const FILTERS = [
  'source = http', 'source = (http, stdio) AND pid = 77', 'status >= 400', 'status < 400 OR method = GET', 'NOT source = http', 'source != http AND comm = node',
  'path = "/v1/é \\"x\\""', 'response_body ~ NEEDLE', 'latency_ms <= 0.5', 'host', 'process = null', 'session != null', 'payload ~ world', 'payload ^= Hello', 'response_body *= NEEDLE', 'payload *= world',
  'payload_encoding = base64', 'remote.port = 443', 'remote.address = 192.0.2.53', 'request.header.x-api-key ~ *', 'argv = -s', 'event IN (EXEC, CLOSE, DNS)',
  'pid = 77 OR pid = 4321', 'pid = 077', 'id = h.b.c.3', 'timestamp > 2001-01-01', 'truncated = true', 'secrets = anthropic:3fa9c2d81b07', 'speaks = postgresql',
  'source = "http\' OR 1=1 --"', 'comm = "\\\\\'\\n"', 'payload ~ "number 12"',
];

describe('the API answers as the analyzer does', () => {
  test.each(FILTERS)('%s', async (where) => {
    const fits = compileWhere(parseWhere(where));
    const expected = events.filter((event) => fits(event)).toSorted((a, b) => Number(a.timestamp - b.timestamp)).map(({ id }) => id);
    const { ids } = await idsOf(where, '&session=' + encodeURIComponent(String(events[0]?.session)));
    const inSession = expected.filter((id) => events.find((event) => event.id === id)?.session !== null);
    expect(ids).toEqual(inSession);
    const all = (await idsOf(where)).ids.filter((id) => !id.startsWith('h.b.crowd.'));
    expect(all).toEqual(expected);
  });

  test('most of these filters fit something', () => {
    const counts = FILTERS.map((where) => events.filter(compileWhere(parseWhere(where))).length);
    expect(counts.filter((count) => count > 0).length).toBeGreaterThan(20);
  });

  test('page by page, in both orders, each event once', async () => {
    const { ids } = await idsOf('payload ~ number AND payload !~ 7', '&session=crowd');
    const expected = Array.from({ length: CROWD }, (_, index) => index + 1).filter((number) => !String(number).includes('7')).map((number) => `h.b.crowd.${number}`);
    expect(ids).toEqual(expected);
    const paged = await idsOf('payload ~ number AND payload !~ 7', '&session=crowd&limit=37&order=desc');
    expect(paged.ids).toEqual(expected.toReversed());
    expect(Math.max(...paged.pages)).toBe(37);
  });
});

describe('a filter that cannot be read', () => {
  test.each([['status >', 9], ['sttaus = 1', 1], ['path = "abc', 8], ['status = (1, 2', 15], ['', 1]])('%s: column %i', async (where, column) => {
    const response = await hub.request(`/api/v1/events?where=${encodeURIComponent(where)}`);
    const problem = await response.json() as Problem;
    expect(problem).toMatchObject({ status: 400, code: 'BAD_REQUEST', column });
    expect(problem.detail).toContain(`where: could not read the filter at column ${column}`);
  });

  test('is too long', async () => {
    const response = await hub.request(`/api/v1/events?where=${'x'.repeat(LIMITS.whereCharacters + 1)}`);
    expect(await response.json()).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
  });
});
