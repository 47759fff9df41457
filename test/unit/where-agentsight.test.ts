/** AgentSight's two filter languages in ours. */
import { describe, expect, test } from 'vitest';
import { from } from 'rxjs';
import { select } from '../../analyzers/filter.ts';
import { http } from '../../analyzers/http.ts';
import { createWhereCounters, withoutChunks } from '../../analyzers/where.ts';
import { translateHttpFilter } from '../../analyzers/where/agentsight.ts';
import { translateSslFilter } from '../../analyzers/where/agentsight-ssl.ts';
import { formatWhere } from '../../analyzers/where/explain.ts';
import { compileWhere } from '../../analyzers/where/matches.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import type { Event } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunk as tlsChunk, closing } from '../cases.ts';
import { chunk, eventOf, httpData } from '../helpers/events.ts';
import { refused } from '../helpers/refused.ts';

const exchange = eventOf('http', {
  ...httpData(), method: 'POST', path: '/v1/messages', status: 429, latency_ms: 1250.5, host: 'api.example.test',
  response_headers: { 'content-type': ['application/json; charset=utf-8'], 'x-a': ['1', '2'] },
  endpoint: { family: 'ipv4', local: { address: '127.0.0.1', port: 40_000 }, remote: { address: '10.0.0.7', port: 443 }, socket: 'socket:[1]' },
});
const sent = eventOf('tls', { ...chunk(Buffer.from('Hello WORLD')), event: 'DATA', connection: 'c1', position: 0, library: 'openssl', endpoint: null, server_name: null });

describe('AgentSight\'s http filters', () => {
  test.each([
    ['request.path_prefix=/v1/rgstr & request.host=statsig.anthropic.com', 'source = "http" AND (path ^= "/v1/rgstr" AND host = "statsig.anthropic.com")'],
    ['response.status_code=404 | request.method=options', 'source = "http" AND (status = 404 OR method = "OPTIONS")'],
    ['/health', 'source = "http" AND path *= "/health"'],
    ['req.verb=get', 'source = "http" AND method = "GET"'],
    ['resp.content-type=json & res.x-a=b', 'source = "http" AND (response.header.content-type *= "json" AND response.header.x-a *= "b")'],
    ['body=secret', 'source = "http" AND request_body *= "secret"'],
  ])('%s', (text, ours) => {
    expect(formatWhere(translateHttpFilter(text).expression)).toBe(ours);
  });

  test('tell their traps', () => {
    const { expression, traps } = translateHttpFilter('response.body=');
    expect(formatWhere(expression)).toBe('source = "http" AND response_body = (null, "")');
    expect(traps.join()).toContain('dropped them all');
    expect(translateHttpFilter('request.method=GET & response.status=200').traps.join()).toContain('never matched');
    expect(translateHttpFilter('beta=true').traps.join()).toContain('query');
    expect(refused(() => translateHttpFilter('/a | ')).message).toContain('column 5');
    expect(refused(() => translateHttpFilter('response.status=abc')).message).toContain('abc is no number');
    for (const text of ['response.a b=c', 'res.=c', 'res.a(=c']) expect(refused(() => translateHttpFilter(text)).message).toContain('is no name of a header');
    expect(refused(() => translateHttpFilter('x'.repeat(LIMITS.whereCharacters + 1))).message).toContain('at most');
  });

  test('know upper and lower case, but for the text of a status', () => {
    const leavesOut = (text: string, event: Event = exchange): boolean => compileWhere(translateHttpFilter(text).expression)(event);
    expect([leavesOut('messages'), leavesOut('Messages'), leavesOut('response.content_type=json'), leavesOut('response.content_type=JSON')]).toEqual([true, false, true, false]);
    const told = eventOf('http', { ...httpData(), status_text: 'Too Many Requests', request_body: 'a Needle' });
    expect([leavesOut('response.status_text=many', told), leavesOut('body=Needle', told), leavesOut('body=needle', told)]).toEqual([true, true, false]);
    expect(formatWhere(translateHttpFilter('response.status_text=Many').expression)).toContain('status_text ~ "Many"');
  });

  test('tell that they meant one half of an exchange', () => {
    expect(translateHttpFilter('/health').traps).toEqual([expect.stringContaining('left out nothing but that request')]);
    expect(translateHttpFilter('response.status=404 | /health').traps).toEqual([
      expect.stringContaining('nothing but that response'), expect.stringContaining('nothing but that request'),
    ]);
  });

  test.each([
    ['request.path=/a?x=1&y=2', '& ends a value', 'y=2 of column 21'], ['request.body=a|b', '| ends a value', 'b of column 16'],
  ])('tell what may have been meant as one value: %s', (text, ...expected) => {
    const { traps } = translateHttpFilter(text);
    for (const part of expected) expect(traps.join('\n')).toContain(part);
  });

  test('take for two what is written as two', () => {
    for (const text of ['request.method=GET&response.status=200', 'request.method=GET | /health', '/a & /b']) {
      expect(translateHttpFilter(text).traps.join('\n'), text).not.toContain('ends a value');
    }
  });
});

describe('AgentSight\'s ssl filters', () => {
  test.each([
    ['data=0\\r\\n\\r\\n|data.type=binary', 'payload = "0\\r\\n\\r\\n" OR payload_encoding = "base64"'],
    // A call of theirs is one chunk; ours may be several.
    ['len>100 & function=READ/RECV', 'total > 100 AND direction = "read"'],
    ['function=HANDSHAKE', 'event = "HANDSHAKE"'],
    ['function!=READ/RECV', 'direction = "write" OR event = "HANDSHAKE"'],
    ['function~E', 'direction = "read" OR direction = "write" OR event = "HANDSHAKE"'],
    ['function~SEND', 'direction = "write"'],
    ['data.type!=text', 'payload_encoding = "base64"'],
    ['(comm=node | comm = bun) & data~ping', '(comm = "node" OR comm = "bun") AND payload *= "ping"'],
    ['(len>=1)|(pid=2)&tid!=3', 'total >= 1 OR pid = 2 AND tid != 3'],
    ['data~a=b', 'payload *= "a=b"'],
    ['data~é', 'payload *= "é"'],
    ['is_handshake=true', 'event = "HANDSHAKE"'],
    ['is_handshake!=true', 'event != "HANDSHAKE"'],
    ['truncated=false', 'truncated = false'],
    ['truncated!=false', 'truncated = true'],
  ])('%s', (text, ours) => {
    const { expression, option } = translateSslFilter(text);
    expect([option, formatWhere(expression)]).toEqual(['--exclude-chunk', ours]);
  });

  test.each([
    ['function=foo', 'function is one of READ/RECV, WRITE/SEND, HANDSHAKE'], ['function=read', 'function is one of'], ['function~xyz', 'function is one of'], ['function>READ/RECV', 'function is compared with = != ~'],
    ['data.type=foo', 'data.type is one of text, binary'], ['len=abc', 'abc is no number'], ['pid=1.5', '1.5 is no number'], ['tid=', 'nothing is no number'], ['len~5', 'len is compared with = != < <= > >='],
    ['data>a', 'data is compared with = != ~'], ['comm<a', 'comm is compared with'], ['truncated>true', 'truncated is compared with = !='], ['truncated=yes', 'truncated is true or false'], ['is_handshake=1', 'is_handshake is true or false'],
    ['bogus=1', 'no field bogus'], ['toString=1', 'no field toString'], ['(len>1', 'the bracket of column 1 is not closed'],
    ['('.repeat(LIMITS.whereDepth + 1), 'levels of brackets'], ['('.repeat(LIMITS.whereCharacters + 1), 'at most'], ['data~a|b', '| and & end a value'],
  ])('that could never fit are refused: %s', (text, problem) => {
    expect(refused(() => translateSslFilter(text)).message).toContain(problem);
  });

  test('that cannot be said here are refused with what to do instead', () => {
    const { message, hint } = refused(() => translateSslFilter('latency_ms>1000 & function=READ/RECV'));
    expect(message).toContain('column 1: how long one read or write took is not measured');
    const instead = [...(hint ?? '').matchAll(/'([^']+)'/g)].map(([, filter = '']) => filter);
    expect(instead.map((filter) => formatWhere(parseWhere(filter)))).toEqual(instead);
    expect(refused(() => translateSslFilter('len>1 & uid=0'))).toMatchObject({ message: expect.stringContaining('column 9') as unknown, hint: expect.stringContaining('--uid') as unknown });
    expect(refused(() => translateSslFilter('timestamp_ns>5'))).toMatchObject({ message: expect.stringContaining('boot') as unknown, hint: expect.stringContaining('--exclude-chunk') as unknown });
  });

  test('know upper and lower case', () => {
    const leavesOut = (text: string): boolean => compileWhere(translateSslFilter(text).expression)(sent);
    expect([leavesOut('data~Hello'), leavesOut('data~hello'), leavesOut('data!=Hello')]).toEqual([true, false, true]);
  });

  test('tell what AgentSight misread', () => {
    expect(translateSslFilter('data~a=b').traps).toEqual([expect.stringContaining('a field named data~a,')]);
    expect(translateSslFilter('data=a>=b').traps).toEqual([expect.stringContaining('a field named data=a,')]);
    expect(translateSslFilter('data~a\\|b').traps).toEqual([expect.stringContaining('a backslash before')]);
    for (const text of ['data=a~b', 'len>=100', 'data=0\\r\\n|data.type=binary']) expect(translateSslFilter(text).traps, text).toEqual([]);
  });
});

describe('chunks that are left out are not read', () => {
  const request = Buffer.from('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n');
  const body = Buffer.from('some body');
  const response = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const part = (direction: 'read' | 'write', bytes: Buffer, position: number): Event => tlsChunk({ direction, bytes, position });
  const traffic = [part('write', request, 0), part('write', body, request.length), part('read', response, 0), closing()];

  function seen(filter: string, raw = false): string[] {
    const stage = withoutChunks([translateSslFilter(filter).expression], createWhereCounters());
    const out: string[] = [];
    from(traffic).pipe(stage, http({ nextId: () => 'x', raw }), select({ sources: ['http', 'tls'], raw })).subscribe(({ source, data }) => {
      if (source === 'http') out.push([data.method, data.status, data.state, data.request_body].join(' '));
      else if (source === 'tls' && data.event === 'DATA') out.push(`${data.direction} ${data.len}`);
    });
    return out;
  }

  test.each([
    ['comm=other', ['POST 200 complete some body']],
    ['comm=agent', []],
    ['function=READ/RECV', ['POST  aborted some body']],
    ['function=WRITE/SEND', ['UNKNOWN 200 partial ']],
    ['function=HANDSHAKE', ['POST 200 complete some body']],
    ['data~some', ['POST 200 aborted ']],
    ['data.type=text', []],
    ['len>0 & tid=7', []],
  ])('%s', (filter, exchanges) => {
    expect(seen(filter)).toEqual(exchanges);
  });

  test('with --raw too', () => {
    expect(seen('len<10', true)).toEqual([`write ${request.length}`, `read ${response.length}`, 'POST 200 aborted ']);
  });

  test('and counted', () => {
    const counters = createWhereCounters();
    let left = 0;
    from(traffic).pipe(withoutChunks([parseWhere('direction = write')], counters)).subscribe(() => left++);
    expect([left, counters.snapshot()]).toEqual([2, { filtered_out: 0, chunks_filtered_out: 2 }]);
  });
});
