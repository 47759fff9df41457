/**
 * HTTP/2 of real programs under `trace`: Node's client and server, curl, and Go's.
 * Every request carries its number and every reply says it again, so that a wrong pair shows.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { buildGo } from '../helpers/go.ts';
import { ofSource, readEvents, runCli, type FileEvent } from '../helpers/cli.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { expectRightPairs } from '../helpers/right-pairs.ts';

const LOAD = programPath('http2-load.mjs');

describeKernel('HTTP/2 under trace', () => {
  let certificates: TempDir;
  let dir: TempDir;
  let server: ChildProcess;
  let url: string;
  beforeAll(async () => {
    certificates = tempDir();
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, certificates.path]);
    server = spawn(process.execPath, [LOAD, certificates.path, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [port] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    url = `https://localhost:${String(port).trim()}`;
  });
  afterAll(async () => {
    const exited = once(server, 'exit');
    server.stdin?.end();
    await exited;
    certificates.remove();
  });
  beforeEach(() => { dir = tempDir(); });
  afterEach(() => dir.remove());

  async function trace(command: readonly string[], flags: readonly string[] = []): Promise<FileEvent[]> {
    let file = dir.file('trace.jsonl');
    const run = () => runCli(['trace', '--no-hub', '-q', '-o', file, ...flags, '--', ...command], { cwd: dir.path, deadlineMs: 150_000 });
    let result = await run();
    // curl 7.88 with -Z now and then takes a stream for cut off on a busy machine, traced or not, and ends with 18
    for (let tries = 1; command[0] === 'curl' && result.code === 18 && tries < 4; tries++) {
      file = dir.file(`trace-${tries}.jsonl`);
      result = await run();
    }
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(result.stderr).toContain('nothing lost');
    return readEvents(file);
  }

  for (const threads of [1, 4]) {
    it(`Node: 10,000 requests over 100 connections of ${threads} threads, on both sides of them, are 10,000 right pairs`, { timeout: 240_000 }, async () => {
      const events = await trace([process.execPath, LOAD, certificates.path, '100', '100', String(threads)], ['--source', 'http,sse']);
      const exchanges = ofSource(events, 'http').map(({ data }) => data);
      expectRightPairs(exchanges, (id) => ({
        http_version: '2', response_body: `id=${id};ask=${id}`, response_trailers: [['x-end', id]], unknown_fields: 0,
      }));
    });
  }

  it('curl: several streams of one connection at once, a stream of events, and masked credentials', async () => {
    const secret = `sk-ant-api03-${'Q7x'.repeat(20)}`;
    const ids = ['a1', 'b2', 'c3', 'd4'];
    const events = await trace(['curl', '-sS', '--http2', '-Z', '--cacert', certificates.file('cert.pem'), '-H', `authorization: Bearer ${secret}`,
      '--data', `key=${secret}`, ...ids.map((id) => `${url}/r/${id}`), `${url}/r/events`]);
    expect(JSON.stringify(events).includes(secret)).toBe(false);
    const exchanges = ofSource(events, 'http').map(({ data }) => data);
    expect(exchanges).toHaveLength(5);
    for (const id of ids) {
      expect(exchanges.find((data) => data['path'] === `/r/${id}`)).toMatchObject({
        state: 'complete', method: 'POST', status: 200, url: `${url}/r/${id}`, http_version: '2', response_headers: { 'x-id': [id] },
        response_body: expect.stringMatching(new RegExp(`^id=${id};key=\\*+$`)), redacted: expect.any(Number),
      });
    }
    expect(ofSource(events, 'sse').map(({ data }) => data['data'])).toEqual([0, 1, 2, 3, 4].map((n) => `{"n":${n}}`));
  });

  it('curl: HTTP/2 over plain text, by prior knowledge, to a program of Node', async () => {
    const program = dir.file('plain.mjs');
    writeFileSync(program, `import http2 from 'node:http2'; import { spawn } from 'node:child_process';
const server = http2.createServer((request, response) => response.end('path=' + request.url));
server.listen(0, '127.0.0.1', () => {
  const url = 'http://127.0.0.1:' + server.address().port + '/plain';
  spawn('curl', ['-sS', '-o', 'out', '--http2-prior-knowledge', url], { stdio: 'ignore' }).on('exit', (code) => { server.close(); process.exitCode = code; });
});`);
    const events = await trace([process.execPath, program]);
    const exchanges = ofSource(events, 'http').map(({ data }) => data);
    expect(exchanges.filter((data) => data['role'] === 'client')).toMatchObject([
      { path: '/plain', http_version: '2', tls: false, status: 200, response_body: 'path=/plain', state: 'complete' },
    ]);
  });

  it('Go: client and server over one connection, each reply to its request', { timeout: 240_000 }, async () => {
    writeFileSync(dir.file('body'), 'body of go '.repeat(300));
    const program = buildGo(dir.path, 'exchange.go', { name: 'http2', flags: [] });
    const events = await trace([program, 'http2', certificates.file('cert.pem'), certificates.file('key.pem'), dir.file('body'), '50']);
    const exchanges = ofSource(events, 'http').map(({ data }) => data);
    const clients = exchanges.filter((data) => data['role'] === 'client');
    expect(clients).toHaveLength(50);
    expect(exchanges.filter((data) => data['role'] === 'server')).toHaveLength(50);
    for (const data of exchanges) {
      expect(data).toMatchObject({ state: 'complete', status: 200, request_body: 'body of go '.repeat(300), response_body: 'body of go '.repeat(300) });
      expect((data['response_headers'] as Record<string, string[]>)['x-path']).toEqual([data['path']]);
    }
    expect(new Set(clients.map((data) => data['path'])).size).toBe(50);
  });
});
