/** Chromium, whose BoringSSL has no names either: SSL_peek, which it calls before it reads, must not show. */
import { realpathSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { captureAgent, describeAgents, expectWhole, type AgentSeen } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { conversations } from '../helpers/live-capture.ts';
import { expectRow } from '../helpers/matrix.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

/** Debian's script sets flags of its own and starts this one. */
const PROGRAM = '/usr/lib/chromium/chromium';
const TEXT = Array.from({ length: 4000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join('');
/** With an icon of its own, so that none is asked for while it ends. */
const PAGE = `<!doctype html><link rel="icon" href="data:,"><pre>${TEXT}</pre>`;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** It ends when it has its page: a few last control frames of HTTP/2 are then not read any more. */
const LAST_FRAMES_BYTES = 512;

describeAgents('what Chromium says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder | null = null;
  beforeEach(() => { folder = tempDir(); });
  afterEach(async () => {
    await recorder?.close();
    recorder = null;
    folder.remove();
  });

  async function loadPage({ port }: TlsRecorder): Promise<AgentSeen> {
    const flags = [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--no-first-run', '--ignore-certificate-errors', '--disable-dev-shm-usage', `--user-data-dir=${folder.file('profile')}`,
    ];
    const seen = await captureAgent({ program: PROGRAM, args: [...flags, '--dump-dom', `https://localhost:${port}/page`], env: {}, folder });
    expect(seen.output).toContain(TEXT);
    return seen;
  }

  test('a page over HTTP/1.1', async () => {
    recorder = await startTlsRecorder(createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html', 'content-length': PAGE.length }).end(PAGE);
    }));
    const seen = await loadPage(recorder);
    expectWhole(seen, recorder, { row: 'Chromium: HTTP/1.1', path: realpathSync(PROGRAM), library: 'boringssl', functions: ['SSL_read', 'SSL_write'] });
    expect(conversations(seen.events).find(({ written }) => written.includes('GET /page HTTP/1.1'))?.read.includes(PAGE)).toBe(true);
  });

  test('a page over HTTP/2', async () => {
    recorder = await startTlsRecorder(createHttp2Server((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    }), { alpn: ['h2'] });
    const { events } = await loadPage(recorder);
    const [carried, ...more] = recorder.connections.filter(({ received }) => received.length > 0);
    expect(more).toEqual([]);
    const [seen, ...others] = conversations(events);
    expect(others).toEqual([]);
    const { received = [], sent = [] } = carried ?? {};
    expect(seen?.written.toString('latin1', 0, PREFACE.length)).toBe(PREFACE);
    expectNearlyAll(Buffer.concat(received), seen?.written);
    expectNearlyAll(seen?.read ?? Buffer.alloc(0), Buffer.concat(sent));
    expect(seen?.read.includes(TEXT.slice(0, 1000))).toBe(true);
    expectRow('Chromium: HTTP/2', events, realpathSync(PROGRAM));
  });
});

function expectNearlyAll(arrived: Buffer, sent: Buffer = Buffer.alloc(0)): void {
  expect(sent.length - arrived.length).toBeGreaterThanOrEqual(0);
  expect(sent.length - arrived.length).toBeLessThan(LAST_FRAMES_BYTES);
  expect(sent.subarray(0, arrived.length).equals(arrived)).toBe(true);
}
