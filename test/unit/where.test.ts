import { describe, expect, test } from 'vitest';
import { from, lastValueFrom, toArray } from 'rxjs';
import { createWhereCounters, where } from '../../analyzers/where.ts';
import { translateHttpFilter } from '../../analyzers/where/agentsight.ts';
import { translateSslFilter } from '../../analyzers/where/agentsight-ssl.ts';
import { explainWhere, formatWhere } from '../../analyzers/where/explain.ts';
import { DATA_KEYS } from '../../analyzers/where/fields.ts';
import { compileWhere, type Predicate } from '../../analyzers/where/matches.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import { BOOLEANS, DEEPER, NUMBERS, NUMBERS_OR_TEXT } from '../../analyzers/where/shapes.ts';
import { AgentsightError } from '../../src/errors.ts';
import { dataSchemas } from '../../src/event-schema.ts';
import type { Event, McpEvent } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunk, eventOf, everySource, httpData, stdioEvent } from '../helpers/events.ts';
import { refused } from '../helpers/refused.ts';
import { kindsOf } from '../helpers/schema-kinds.ts';

const exchange = eventOf('http', {
  ...httpData(), method: 'POST', path: '/v1/messages', status: 429, latency_ms: 1250.5, host: 'api.example.test',
  response_headers: { 'content-type': ['application/json; charset=utf-8'], 'x-a': ['1', '2'] },
  endpoint: { family: 'ipv4', local: { address: '127.0.0.1', port: 40_000 }, remote: { address: '10.0.0.7', port: 443 }, socket: 'socket:[1]' },
});
const output = stdioEvent(chunk(Buffer.from('Hello WORLD é\n')));
const binary = stdioEvent(chunk(Buffer.of(0xff, 0xfe, 0x41)));
const exec = everySource().find((event) => event.source === 'process' && event.data.event === 'EXEC') as Event;

function fits(text: string, event: Event = exchange): boolean {
  return compileWhere(parseWhere(text))(event);
}

/** null: it is refused. */
function readable(text: string): Predicate | null {
  try {
    return compileWhere(parseWhere(text));
  } catch (error) {
    if (error instanceof AgentsightError && error.code === 'USAGE') return null;
    throw error;
  }
}

describe('a filter fits', () => {
  test.each([
    'source = http', 'source=http', 'SOURCE = http OR source = http', 'status = 429', 'status >= 400 AND status < 500', 'status IN (200, 429)',
    'status = [200,429]', 'status NOT IN (200, 404)', 'method != GET', 'path ^= /v1/', 'path ~ MESSAGES', 'path !~ health', 'path *= messages', 'path*=/v1/m', 'latency_ms > 1000',
    'latency_ms <= 1250.5', 'host = api.example.test', 'remote.port = 443', 'remote.address ^= 10.', 'data.endpoint.local.port = 40000',
    'response.header.content-type ~ json', 'Response.Header.X-A = 2', 'response.header.x-b = null', 'response.header.x-b != 1',
    'NOT method = GET', '!method = GET', 'NOT (method = GET OR method = PUT)', '(method = GET OR method = POST) && status = 429',
    'method = GET OR method = POST AND status = 429', 'host', 'NOT sse_events', 'tls = true', 'path = "/v1/messages"', "path = '/v1/messages'",
    'timestamp > 2001-01-01T00:00:00Z', 'timestamp > 1000000000', 'pid = 4321 and comm = node', 'error = null',
  ])('%s', (text) => {
    expect(fits(text.replace('SOURCE', 'source'))).toBe(true);
  });

  test.each([
    'source = tls', 'status = "429"', 'status > 429', 'method = post', 'path ^= V1', 'path *= MESSAGES', 'error *= x', 'host = ""', 'NOT host', 'sse_events', 'sse_events > 0',
    'method = GET OR method = PUT AND status = 429', 'response.header.x-a = 3', 'latency_ms = null', 'error ~ x', 'timestamp < 2001-01-01',
  ])('not: %s', (text) => {
    expect(fits(text)).toBe(false);
  });

  test.each([
    ['payload ~ world', true], ['payload *= world', false], ['payload *= "o WORLD é"', true], ['payload ~ "hello world É"', false], ['payload ^= Hello', true], ['payload ^= hello', false],
    ['payload = "Hello WORLD é\\n"', true], ['payload ~ "é\\n"', true], ['payload_encoding = utf8', true], ['role = stdout', true],
  ] as const)('bytes: %s is %s', (text, expected) => {
    expect(fits(text, output)).toBe(expected);
  });

  test('bytes that are no text', () => {
    expect(fits('payload_encoding = base64', binary)).toBe(true);
    expect(fits('payload ~ a', binary)).toBe(true);
  });

  test('lists by element, and as one text', () => {
    expect(fits('argv = -s', exec)).toBe(true);
    expect(fits('argv ^= "/usr/bin/curl -s"', exec) || fits('argv ^= "curl -s"', exec)).toBe(true);
    expect(fits('argv = "curl -s"', exec)).toBe(false);
  });

  test.each([
    'params.name = read_file', 'params.arguments.path ^= /etc', 'params.arguments.depth > 2', 'result.content.0.text ~ HELLO', 'data.params.name != x', 'result.nosuch = null', 'NOT params.arguments.nosuch', 'peer.pid = 9',
  ])('JSON in a text: %s', (text) => {
    const call = everySource().find((event): event is McpEvent => event.source === 'mcp');
    if (call === undefined) throw new Error('no call');
    const data = { ...call.data, params: '{"name":"read_file","arguments":{"path":"/etc/hosts","depth":3}}', result: '{"content":[{"text":"hello"}]}' };
    expect(fits(text, { ...call, data })).toBe(true);
    expect(typeof fits(text, { ...call, data: { ...data, params: data.params.slice(0, 20), result: null } })).toBe('boolean');
  });

  test.each([
    'request_headers.host = a', 'interim.0.headers.link ~ x', 'grpc.request_messages.0.fields.1.fields.0.value = x', 'grpc.request_messages.0.fields.0.number > 1', 'status = attached', 'status != "x"', 'id = 5', 'status > "400"',
    'latency_ms > 1e3', 'latency_ms = null', 'pid ~ 12', 'pid != (1, null)', 'timestamp < 2026-01-31', 'timestamp = 5', 'tls != true', 'peers.0.comm = x', 'server.port = 53', 'argv.0 = curl', 'error.code < 0', 'retry_ms', 'cpus.1.lost > 0',
  ])('is read: %s', (text) => {
    expect(formatWhere(parseWhere(text))).toBe(text);
  });

  test('any event without throwing', () => {
    let read = 0;
    for (const key of [...DATA_KEYS, ...DEEPER].map((path) => path.replaceAll('*', '0').replaceAll('00', 'x'))) {
      for (const operator of ['=', '!=', '<', '>=', '~', '!~', '^=', '*=']) {
        for (const value of ['1', 'true']) {
          const predicate = readable(`${key} ${operator} ${value}`);
          if (predicate === null) continue;
          read++;
          for (const event of everySource()) expect(typeof predicate(event)).toBe('boolean');
        }
      }
    }
    expect(read).toBeGreaterThan(2000);
  });

  test('what is refused could not fit any event, and what is a number can be compared', () => {
    for (const event of everySource()) {
      for (const [key, value] of Object.entries(event.data)) {
        if (typeof value === 'number') expect(fits(`data.${key} = ${value} AND data.${key} <= ${value}`, event), key).toBe(true);
        if (typeof value === 'boolean') expect(fits(`data.${key} = ${value}`, event), key).toBe(true);
        if (typeof value === 'string') expect(fits(`data.${key} = ${JSON.stringify(value)}`, event), key).toBe(true);
      }
    }
  });
});

describe('an error points at the column', () => {
  test.each([
    ['status >', 9, 'the filter ends where a value was expected after >'],
    ['status = (1, 2', 15, 'the filter ends where , or ) was expected'],
    ['(status = 1', 12, 'the filter ends where ) must close the bracket of column 1'],
    ['status = 1 path = 2', 12, 'path where AND, OR or the end was expected'],
    ['sttaus = 1', 1, 'there is no field sttaus; did you mean status?'],
    ['a = 1 AND', 1, 'there is no field a'],
    ['path = "abc', 8, 'the text that begins here has no closing "'],
    ['path = "a\\q"', 10, '\\q is no escape'],
    ['status < (1, 2)', 10, '< compares with one value, not with a list'],
    ['', 1, 'it is empty'],
    ['AND', 1, 'there is no field AND'],
    ['status = 1 | path', 12, '| means nothing here'],
    ['latency_ms > 1s', 14, '1s is no number; latency_ms is in milliseconds'],
    ['request_body_bytes > 1MB', 22, '1MB is no number; request_body_bytes is in bytes'],
    ['status < abc', 10, 'abc is no number'],
    ['pid = abc', 7, 'abc is no number'],
    ['pid = "77"', 7, '"77" is no number, but without the quotes'],
    ['pid IN (1, x)', 12, 'x is no number'],
    ['remote.port != https', 16, 'https is no number'],
    ['NOT (len = "")', 12, '"" is no number'],
    ['tls = 1', 7, 'tls is true or false'],
    ['truncated > false', 13, '> compares numbers, and truncated is true or false'],
    ['path > 5', 8, '> compares numbers, and path is text'],
    ['response.header.content-length > 100', 34, '> compares numbers, and response.header.content-length is text'],
    ['timestamp > yesterday', 13, 'timestamp is a time, as 2026-01-31T10:00:00Z'],
    ['endpoint.remot.port = 1', 1, 'there is no field endpoint.remot.port; did you mean endpoint.remote.port?'],
    ['data.endpoint.remote.prt = 1', 1, 'there is no field data.endpoint.remote.prt; did you mean endpoint.remote.port?'],
    ['grpc.servce = x', 1, 'there is no field grpc.servce; did you mean grpc.service?'],
    ['ancestors.pid = 1', 1, 'there is no field ancestors.pid; did you mean ancestors.0.pid?'],
    ['data.nosuch = 1', 1, 'there is no field data.nosuch'],
    ['data.data.x = 1', 1, 'there is no field data.data.x'],
    ['path.x', 1, 'there is no field path.x'],
    ['pid.x = 1', 1, 'there is no field pid.x'],
    ['NOT', 4, 'the filter ends where the name of a field was expected'],
  ] as const)('%s', (text, column, problem) => {
    const { message, hint } = refused(() => parseWhere(text));
    expect(message).toContain(`could not read the filter at column ${column}: ${problem}`);
    expect(hint).toBe(`${text}\n${' '.repeat(column - 1)}^`);
  });

  test('and what is too long or too deep is refused', () => {
    expect(refused(() => parseWhere('x'.repeat(LIMITS.whereCharacters + 1))).message).toContain('at most');
    expect(refused(() => parseWhere(`${'('.repeat(LIMITS.whereDepth + 1)}pid = 1${')'.repeat(LIMITS.whereDepth + 1)}`)).message).toContain('levels');
    expect(refused(() => parseWhere('NOT '.repeat(LIMITS.whereDepth + 1))).message).toContain('levels');
  });
});

describe('what was understood', () => {
  const text = 'source=http && !(status in [200, 304] || path^=/health) AND comm ~ "my agent"';

  test('is told part by part', () => {
    expect(explainWhere(parseWhere(text))).toEqual([
      'all of', '  source is http', '  not', '    any of', '      status is 200 or 304', '      path begins with /health', '  comm contains "my agent"',
    ]);
  });

  test('is told in a form that means the same', () => {
    const full = 'source = http AND NOT (status = (200, 304) OR path ^= /health) AND comm ~ "my agent"';
    expect(formatWhere(parseWhere(text))).toBe(full);
    for (const form of [full, 'host', 'NOT host', 'NOT NOT host', 'pid = 1 AND (pid = 2 OR pid = 3)', 'path = "a\\n\\"b\\\\"', 'status = "200"']) {
      expect(formatWhere(parseWhere(form))).toBe(form);
      expect(parseWhere(formatWhere(parseWhere(form)))).toEqual(parseWhere(form));
    }
  });
});

describe('the schema', () => {
  const kinds = kindsOf(dataSchemas);
  const pathsOf = (wanted: (of: ReadonlySet<string>) => boolean): string[] => [...kinds].filter(([, of]) => wanted(of)).map(([path]) => path).toSorted();

  test('has the keys that are names', () => {
    expect(DATA_KEYS.toSorted()).toEqual(pathsOf(() => true).filter((path) => !path.includes('.')));
  });

  test('has the paths below them', () => {
    expect([...DEEPER].filter((path) => path !== 'params.**' && path !== 'result.**').toSorted()).toEqual(pathsOf(() => true).filter((path) => path.includes('.')));
  });

  test('has the numbers and the booleans', () => {
    expect([...NUMBERS].toSorted()).toEqual(pathsOf((of) => of.has('number') && of.size === 1));
    expect([...NUMBERS_OR_TEXT].toSorted()).toEqual(pathsOf((of) => of.has('number') && of.size > 1));
    expect([...BOOLEANS].toSorted()).toEqual(pathsOf((of) => of.has('boolean')));
    expect(pathsOf((of) => of.has('boolean') && of.size > 1)).toEqual([]);
  });
});

test('seeded random text is read or refused, and never throws anything else', () => {
  const pieces = ['status', 'path', '=', '!=', '~', '^=', '*=', '>=', '(', ')', '[', ']', ',', 'AND', 'or', 'NOT', 'in', '"', "'", '\\', ' ', '404', '|', '&', '&&', 'é', '\n'];
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: random(12) }, () => pieces[random(pieces.length)] ?? '').join(random(2) === 0 ? ' ' : '');
    for (const read of [parseWhere, (words: string) => translateHttpFilter(words).expression, (words: string) => translateSslFilter(words).expression]) {
      try {
        const expression = read(text);
        expect(formatWhere(parseWhere(formatWhere(expression)))).toBe(formatWhere(expression));
      } catch (error) {
        if (!(error instanceof AgentsightError)) throw error;
      }
    }
  }
});

describe('the stage', () => {
  test('keeps what fits all and is barred by none, counts the rest, and lets pass what is about ourselves', async () => {
    const counters = createWhereCounters();
    const events = [exchange, { ...exchange, comm: 'other' }, output, ...everySource().filter(({ source }) => source === 'loss' || source === 'log')];
    const stage = where({ where: [parseWhere('source = http'), parseWhere('status > 0')], exclude: [parseWhere('comm = other')], counters });
    const kept = await lastValueFrom(from(events).pipe(stage, toArray()));
    expect(kept).toEqual([exchange, ...events.slice(3)]);
    expect(counters.snapshot()).toEqual({ filtered_out: 2, chunks_filtered_out: 0 });
  });
});
