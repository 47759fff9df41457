/**
 * Known TLS clients under `trace -- CLIENT`, against a server that logs what it
 * saw: the file must hold exactly those exchanges, with nothing lost.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { ofSource, readEvents, runCli, type FileEvent } from '../helpers/cli.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { LARGE_BYTES, largeBody, startTlsServer, type TlsServer } from '../programs/tls-server.ts';

describeKernel('trace -- CLIENT', () => {
  let server: TlsServer;
  let dir: TempDir;
  beforeAll(async () => { server = await startTlsServer(CERTIFICATE_PROGRAM); });
  afterAll(() => server.close());
  beforeEach(() => { dir = tempDir(); });
  afterEach(() => dir.remove());

  /** Traces to the end; the run itself must succeed and lose nothing. */
  async function trace(command: readonly string[], flags: readonly string[] = []): Promise<FileEvent[]> {
    const file = dir.file('trace.jsonl');
    const result = await runCli(['trace', '--no-hub', '-q', '-o', file, ...flags, '--', ...command], { cwd: dir.path });
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(result.stderr).toContain('nothing lost');
    return readEvents(file);
  }

  it('curl: a 200 KB body whole, with status, headers and latency', async () => {
    const events = await trace(['curl', '-sS', '--cacert', server.certPath, '-o', 'out', `${server.url}/large`]);
    const [exchange, ...more] = ofSource(events, 'http');
    expect(more).toEqual([]);
    expect(exchange).toMatchObject({
      comm: 'curl',
      data: {
        role: 'client', state: 'complete', reason: null,
        method: 'GET', url: `${server.url}/large`, path: '/large', host: `localhost:${server.port}`,
        status: 200, status_text: 'OK', http_version: '1.1',
        request_body: null, response_body_encoding: 'utf8', response_body_bytes: LARGE_BYTES,
        response_body_truncated: false,
      },
    });
    expect(exchange?.data['response_body']).toBe(largeBody());
    expect(exchange?.data['request_headers']).toMatchObject({ host: [`localhost:${server.port}`], accept: ['*/*'] });
    expect(exchange?.data['response_headers']).toMatchObject({
      'x-served-by': ['tls-server'], 'content-length': [String(LARGE_BYTES)],
    });
    expect(exchange?.data['latency_ms']).toBeGreaterThan(0);
    expect(exchange?.data['latency_ms']).toBeLessThan(5000);
  });

  it('curl: the process with its command line, folder and exit', async () => {
    const command = ['curl', '-sS', '--cacert', server.certPath, '-o', 'out', `${server.url}/hello`];
    const events = await trace(command);
    const execs = ofSource(events, 'process').filter((event) => event.data['event'] === 'EXEC');
    expect(execs).toHaveLength(1);
    expect(execs[0]).toMatchObject({ comm: 'curl', data: { argv: command, cwd: dir.path, uid: 0, truncated: false, existing: false } });
    const exits = ofSource(events, 'process').filter((event) => event.data['event'] === 'EXIT');
    expect(exits).toHaveLength(1);
    expect(exits[0]).toMatchObject({ process: execs[0]?.process, data: { exit_code: 0, signal: null } });
    const [exchange] = ofSource(events, 'http');
    expect(exchange).toMatchObject({ process: execs[0]?.process, session: execs[0]?.process });
  });

  it('curl: several exchanges on one connection, without body, chunked and not found', async () => {
    const paths = ['/hello', '/empty', '/chunked', '/missing', '/hello'];
    const seenBefore = server.seen.length;
    const events = await trace(['curl', '-sS', '--cacert', server.certPath, ...paths.map((path) => `${server.url}${path}`)]);
    const exchanges = ofSource(events, 'http');
    expect(exchanges.map(({ data }) => [data['method'], data['path'], data['status'], data['state']])).toEqual(
      server.seen.slice(seenBefore).map(({ method, url, status }) => [method, url, status, 'complete']),
    );
    expect(exchanges.map(({ data }) => data['response_body'])).toEqual([
      'hello\n', null, 'chunk 0\nchunk 1\nchunk 2\nchunk 3\nchunk 4\n', 'not found\n', 'hello\n',
    ]);
    expect(new Set(exchanges.map(({ data }) => data['connection'])).size).toBe(1);
  });

  it('curl: HEAD has headers and no body', async () => {
    const events = await trace(['curl', '-sS', '-I', '--cacert', server.certPath, `${server.url}/hello`]);
    expect(ofSource(events, 'http').map(({ data }) => data)).toMatchObject([
      { method: 'HEAD', status: 200, state: 'complete', response_body: null, response_headers: { 'content-length': ['6'] } },
    ]);
  });

  it('curl: credentials are masked in headers, URL and body', async () => {
    const secret = `sk-ant-api03-${'Q7x'.repeat(20)}`;
    const events = await trace([
      'curl', '-sS', '--cacert', server.certPath, '-o', 'out', '-H', `x-api-key: ${secret}`, '-H', `authorization: Bearer ${secret}`,
      '--data', JSON.stringify({ api_key: secret, text: 'kept' }), `${server.url}/echo?key=${secret}`,
    ]);
    const [exchange] = ofSource(events, 'http');
    expect(JSON.stringify(events).includes(secret)).toBe(false);
    expect(exchange?.data['redacted']).toBeGreaterThanOrEqual(3);
    expect(exchange?.data['request_body']).toContain('kept');
  });

  it('python3: a large body sent and echoed', async () => {
    const body = 'é'.repeat(150_000);
    writeFileSync(dir.file('body'), body);
    const program = `
import http.client, ssl
c = http.client.HTTPSConnection('localhost', ${server.port}, context=ssl.create_default_context(cafile='${server.certPath}'))
c.request('POST', '/echo', body=open('body', 'rb').read(), headers={'X-Test': 'python'})
r = c.getresponse()
assert r.status == 200 and len(r.read()) == 300000
c.close()
`;
    const events = await trace(['/usr/bin/python3', '-c', program]);
    const exchanges = ofSource(events, 'http');
    expect(exchanges).toHaveLength(1);
    expect(exchanges[0]?.data).toMatchObject({
      method: 'POST', url: `${server.url}/echo`, status: 200, state: 'complete', role: 'client',
      request_body_bytes: 300_000, response_body_bytes: 300_000,
    });
    expect(exchanges[0]?.data['request_headers']).toMatchObject({ 'x-test': ['python'] });
    expect(exchanges[0]?.data['request_body']).toBe(body);
    // The echo says application/octet-stream; a body is text all the same where it is valid UTF-8.
    const encoding = exchanges[0]?.data['response_body_encoding'] === 'base64' ? 'base64' : 'utf8';
    expect(Buffer.from(String(exchanges[0]?.data['response_body']), encoding).toString('utf8')).toBe(body);
  });

  it('node: a stream of events with the time of each', async () => {
    const program = `
const ca = require('fs').readFileSync('${server.certPath}');
require('https').get('${server.url}/events', { ca }, (response) => response.resume().on('end', () => process.exit(0)));`;
    const events = await trace([process.execPath, '-e', program]);
    const exchanges = ofSource(events, 'http');
    expect(exchanges.map(({ data }) => data)).toMatchObject([
      { method: 'GET', url: `${server.url}/events`, status: 200, state: 'complete', sse_events: 5 },
    ]);
    const ticks = ofSource(events, 'sse');
    expect(ticks.map(({ data }) => [data['index'], data['event'], data['data'], data['last_event_id']])).toEqual(
      [0, 1, 2, 3, 4].map((tick) => [tick, 'tick', `{"tick":${tick}}`, String(tick)]),
    );
    const times = ticks.map(({ data }) => Number(data['since_request_ms']));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    // The server pauses between events; a trace that stamped them all at the end would show no gap.
    expect((times[4] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(30);
    for (const tick of ticks) expect(tick.data['exchange']).toBe(exchanges[0]?.data['exchange']);
  });

  it('openssl s_client: an exchange typed by hand', async () => {
    const request = `GET /hello HTTP/1.1\\r\\nHost: localhost:${server.port}\\r\\nConnection: close\\r\\n\\r\\n`;
    const client = `openssl s_client -quiet -ign_eof -CAfile ${server.certPath} -connect localhost:${server.port}`;
    const events = await trace(['sh', '-c', `printf '${request}' | ${client} 2>/dev/null`]);
    expect(ofSource(events, 'http').map(({ comm, data }) => ({ comm, ...data }))).toMatchObject([
      { comm: 'openssl', method: 'GET', url: `${server.url}/hello`, status: 200, state: 'complete', response_body: 'hello\n' },
    ]);
  });

  it('--raw adds the TLS chunks, and their bytes are the exchange', async () => {
    const events = await trace(['curl', '-sS', '--cacert', server.certPath, '-o', 'out', `${server.url}/large`], ['--raw']);
    const read = ofSource(events, 'tls').filter(({ data }) => data['direction'] === 'read');
    const total = read.reduce((sum, { data }) => sum + Number(data['len']), 0);
    expect(total).toBeGreaterThan(LARGE_BYTES);
    expect(total).toBeLessThan(LARGE_BYTES + 2000);
    expect(ofSource(events, 'http')).toHaveLength(1);
  });

  it('the file is for its owner alone', async () => {
    await trace(['true']);
    const { stdout } = await promisify(execFile)('stat', ['-c', '%a', dir.file('trace.jsonl')]);
    expect(stdout.trim()).toBe('600');
  });
});
