import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ApiEvent, EventsPage, Exchange, Health, Info, Page, Problem, Process, Session } from '../../src/hub/api.ts';
import { tempDir } from '../helpers/files.ts';
import { openLinkClient } from '../helpers/link-client.ts';
import { COLLECTOR, line, processLines, SESSION } from './lines.ts';
import { startTestHub, type TestHub } from './support.ts';

const PROBE = {
  path: '/usr/bin/agent', place: null, build_id: 'ab12', library: 'boringssl', status: 'attached', method: 'locator', functions: ['SSL_read', 'SSL_write'],
  reason: null, steps: [{ step: 'symbols', outcome: 'none of a TLS library' }, { step: 'locator', outcome: 'BoringSSL: found SSL_read, SSL_write' }],
};
const PROBE_LINE = line({ sequence: 8, source: 'probe', pid: 0, process: null, session: null, data: PROBE });

const pageDir = tempDir();
let hub: TestHub;

beforeAll(async () => {
  mkdirSync(pageDir.file('assets'));
  writeFileSync(pageDir.file('index.html'), '<!doctype html><title>page</title>');
  writeFileSync(pageDir.file('assets/a-1.js'), 'export {};');
  hub = await startTestHub({ pageDir: pageDir.path });
  const link = await openLinkClient(hub.hub.socketPath, COLLECTOR);
  await link.acknowledged(await link.send(Buffer.from(`${processLines()}${PROBE_LINE}`)));
  link.close();
});

afterAll(async () => {
  await hub.close();
  pageDir.remove();
});

/** With any Host header, which fetch does not allow. */
function requestAs(host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: hub.hub.port, path, headers: { host, authorization: `Bearer ${hub.hub.token}` } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', reject);
    request.end();
  });
}

/** The status of a request written byte by byte: clients tidy the address, attackers do not. */
function statusOf(target: string, headers = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(hub.hub.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n')) return;
      socket.destroy();
      resolve(Number(text.split(' ')[1]));
    });
    socket.on('error', reject);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}\r\n`);
  });
}

async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const problem = await response.json() as Problem;
  expect(problem.status).toBe(response.status);
  return problem;
}

describe('every route', () => {
  test('/health says who we are without a token', async () => {
    const health = await (await fetch(`${hub.origin}/health`)).json() as Health;
    expect(health).toMatchObject({ name: 'agentsight-ts', protocol: 1, hub: hub.hub.hub, uid: process.getuid?.(), store: 'ready' });
  });

  test('/info tells store, collectors and pages', async () => {
    const info = await hub.get<Info>('/api/v1/info');
    expect(info.store).toMatchObject({ kind: 'embedded', state: 'ready', events: 8, limitDays: 14, counters: { batches: 1, events: 8, refused: 0 } });
    expect(info.collectors).toMatchObject([{ collector: COLLECTOR, host: 'host1', redaction: true, command: ['test'] }]);
  });

  test('/sessions, /processes, /events and /exchanges give what was sent', async () => {
    const session = encodeURIComponent(SESSION);
    expect((await hub.get<Page<Session>>('/api/v1/sessions')).items).toMatchObject([{ session: SESSION, processes: 2, exchanges: 1 }]);
    expect(await hub.get<Session>(`/api/v1/sessions/${session}`)).toEqual((await hub.get<Page<Session>>('/api/v1/sessions')).items[0]);
    expect((await hub.get<Page<Process>>(`/api/v1/processes?session=${session}`)).items.map(({ pid }) => pid)).toEqual([100, 101]);
    const events = await hub.get<EventsPage>(`/api/v1/events?session=${session}&source=process,loss&order=desc`);
    expect(events.storing).toBe(false);
    expect(events.items.map(({ source }) => source)).toEqual(['loss', 'process', 'process', 'process', 'process', 'process']);
    const exchanges = await hub.get<Page<Exchange>>(`/api/v1/exchanges?session=${session}`);
    expect(exchanges.items).toMatchObject([{ method: 'POST', status: 200 }]);
    const whole = await hub.get<ApiEvent>(`/api/v1/exchanges/${exchanges.items[0]?.id}`);
    expect(whole.data['response_body']).toBe('ok');
    expect(await hub.get<ApiEvent>(`/api/v1/events/${whole.id}`)).toEqual(whole);
  });

  test('names a bad query, an unknown event and an unknown route', async () => {
    const bad = async (query: string): Promise<string> => (await problemOf(await hub.request(`/api/v1/events?${query}`))).detail;
    expect(await bad('limit=0')).toContain('limit:');
    expect(await bad('limit=5001')).toContain('limit:');
    expect(await bad('from=yesterday')).toContain('epoch nanoseconds');
    expect(await bad('from=9999999999999999999')).toContain('later than the store can hold');
    expect(await bad('order=up')).toContain('order:');
    expect(await bad('source=ssl')).toContain('must be of process');
    expect(await bad('cursor=zzz')).toContain('not a cursor');
    expect(await bad('colour=red')).toContain('colour');
    expect(await problemOf(await hub.request('/api/v1/events/a.b.c.999'))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await problemOf(await hub.request('/api/v1/sessions/a.b.c.d'))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await problemOf(await hub.request('/api/v1/nothing'))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await problemOf(await hub.request('/api/v1/%zz'))).toMatchObject({ status: 400 });
  });

  test('takes a key as text, not as SQL', async () => {
    const evil = "x' OR 1=1 --\\";
    expect((await hub.get<Page<ApiEvent>>(`/api/v1/events?session=${encodeURIComponent(evil)}`)).items).toEqual([]);
  });
});

describe('what was hooked', () => {
  test('is told with every step that was tried', async () => {
    const ask = (query: string): Promise<Response> => fetch(`${hub.origin}/api/v1/probes${query}`, { headers: { authorization: `Bearer ${hub.hub.token}` } });
    const page = await (await ask('?order=desc')).json() as Page<ApiEvent>;
    expect(page.items).toMatchObject([{ source: 'probe', data: PROBE }]);
    expect((await (await ask('?process=host1.boot1.0.9')).json() as Page<ApiEvent>).items).toEqual([]);
    expect((await problemOf(await ask('?session=x'))).status).toBe(400);
  });
});

describe('who may ask', () => {
  test('the API wants the token, whole and right', async () => {
    for (const token of ['', 'wrong', `${hub.hub.token}x`, hub.hub.token.slice(0, -1)]) {
      const response = await fetch(`${hub.origin}/api/v1/info`, { headers: { authorization: `Bearer ${token}` } });
      expect(await problemOf(response)).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
    }
    for (const path of ['/api/v1/info', '//api/v1/info', '/%61pi/v1/info', '/API/v1/info', `/api/v1/info?token=${hub.hub.token}`]) {
      expect((await fetch(`${hub.origin}${path}`)).status).not.toBe(200);
    }
  });

  test('an address in another form does not lead past the token', async () => {
    for (const target of ['http://127.0.0.1/api/v1/info', 'http://x/api/v1/events', 'https://x//api/v1/sessions', '/%61pi/v1/info']) {
      expect.soft([target, await statusOf(target)]).not.toEqual([target, 200]);
    }
    expect(await statusOf('http://x/api/v1/info')).toBe(401);
    expect(await statusOf('http://x/api/v1/info', `Authorization: Bearer ${hub.hub.token}\r\n`)).toBe(200);
  });

  test('a malformed address of a live socket is refused, and the hub lives on', async () => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    for (const target of ['//', '//:x', 'http://', '/api/v1/live', '/api/v1/live?token=%zz']) {
      expect.soft([target, await statusOf(target, upgrade)]).toEqual([target, target.startsWith('/api') ? 401 : 404]);
    }
    expect((await hub.request('/api/v1/info')).status).toBe(200);
  });

  test('a name that is not loopback is refused, so that a rebound DNS name reads nothing', async () => {
    expect(await requestAs('evil.example:7395', '/health')).toBe(421);
    expect(await requestAs('evil.example', '/')).toBe(421);
    expect(await requestAs('127.0.0.1.evil.example', '/api/v1/info')).toBe(421);
    expect(await requestAs('localhost:1', '/api/v1/info')).toBe(200);
  });

  test('no other origin may read or embed', async () => {
    const response = await hub.request('/api/v1/info', { headers: { origin: 'http://evil.example' } });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  });

  test('the live socket wants the token, our origin and a loopback name', async () => {
    const open = (path: string, options: object = {}): Promise<string> => new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${hub.hub.port}${path}`, 'agentsight.live.v1', options);
      socket.on('open', () => {
        socket.terminate();
        resolve('open');
      });
      socket.on('error', (error) => resolve(error.message));
    });
    const path = `/api/v1/live?token=${hub.hub.token}`;
    expect(await open(path)).toBe('open');
    expect(await open(path, { origin: hub.origin })).toBe('open');
    expect(await open('/api/v1/live?token=wrong')).toContain('401');
    expect(await open(path, { origin: 'http://evil.example' })).toContain('403');
    expect(await open(path, { headers: { host: 'evil.example' } })).toContain('421');
    expect(await open(`/api/v1/other?token=${hub.hub.token}`)).toContain('404');
  });
});

describe('the page', () => {
  test('is served for every address that is no file', async () => {
    for (const path of ['/', '/s/some.session', `/?token=${hub.hub.token}`]) {
      const response = await fetch(`${hub.origin}${path}`);
      expect(await response.text()).toContain('<title>page</title>');
      expect(response.headers.get('cache-control')).toBe('no-cache');
    }
    const asset = await fetch(`${hub.origin}/assets/a-1.js`);
    expect(asset.status).toBe(200);
    expect(asset.headers.get('cache-control')).toContain('immutable');
    expect((await fetch(`${hub.origin}/assets/gone.js`)).status).toBe(404);
  });

  test('gives nothing outside its folder', async () => {
    for (const path of ['/../../package.json', '/..%2f..%2fpackage.json', '/%2e%2e/%2e%2e/etc/passwd']) {
      const text = await (await fetch(`${hub.origin}${path}`)).text();
      expect(text).not.toContain('root:');
      expect(text).not.toContain('"dependencies"');
    }
  });
});
