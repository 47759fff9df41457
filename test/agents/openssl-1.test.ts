/** OpenSSL 1.1, as programs still bring it along: as a library, inside a program with symbols, and inside one without. */
import { execFileSync } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { finish, type Located } from '../../src/runners/locate/locator.ts';
import { openssl } from '../../src/runners/locate/openssl.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { locateTls } from '../../src/runners/tls-locate.ts';
import { agentProgram } from '../../src/setup/agents.mjs';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { conversations } from '../helpers/live-capture.ts';
import { netData } from '../helpers/net.ts';
import { seenConnections } from '../helpers/tls-clients.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

/** Larger than a TLS record. */
const BODY = Array.from({ length: 8000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join('');
const PARTS = 5;
const FAMILIES = ['process', 'net', 'tls'] as const;
/** What Sentry's server says of the token's owner. */
const OWNER = JSON.stringify({ auth: { scopes: Array.from({ length: 4000 }, (_, scope) => `scope:${scope}`) }, user: { id: '1', email: 'somebody@example.test' } });
const NODE = `
const { request } = require('node:https');
const asked = request(process.argv[1], { method: 'POST', agent: false, ALPNProtocols: ['http/1.1'] }, (reply) => {
  let length = 0;
  reply.on('data', (part) => { length += part.length; });
  reply.on('end', () => console.log(length));
});
asked.end('of many bytes '.repeat(3000));
`;

async function answer({ url }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (url === '/api/0/') {
    response.setHeader('content-type', 'application/json').end(OWNER);
    return;
  }
  for (let part = 0; part < PARTS; part++) {
    response.write(`data: ${part}\n\n`);
    await delay(10);
  }
  response.end(BODY);
}

describeAgents('the locator of OpenSSL', () => {
  function locate(path: string): Located {
    const reader = openReader(path);
    try {
      const elf = readElfView(reader);
      if (elf === null) throw new Error(`${path} is no ELF file`);
      return finish(openssl.search(elf));
    } finally {
      reader.close();
    }
  }

  test('finds by the numbers in its error reports what its symbols lead to', () => {
    const library = agentProgram('openssl-1.1');
    const bySymbols = locateTls(library, loadAddon().readElf);
    const located = locate(library);
    expect(located).toMatchObject({ kind: 'found', functions: ['ssl_read_internal', 'ssl_write_internal'] });
    expect(located.kind === 'found' && bySymbols.kind === 'hook' && bySymbols.probes).toEqual(expect.arrayContaining(located.kind === 'found' ? [...located.probes] : []));
  });

  test('hooks nothing where the internal functions are copied into their callers', () => {
    expect(locate(agentProgram('node-16'))).toMatchObject({ kind: 'unsupported', library: 'openssl', reason: expect.stringMatching(/^OpenSSL 1\.1 is there/) });
  });
});

describeAgents('what a program with OpenSSL 1.1 says and hears is seen byte for byte', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeEach(async () => {
    folder = tempDir();
    recorder = await startTlsRecorder(createServer((request, response) => void request.resume().on('end', () => void answer(request, response))));
  });
  afterEach(async () => {
    await recorder.close();
    folder.remove();
  });

  test.each(['plain', 'ex'])('shared, through the %s functions', async (functions) => {
    const library = agentProgram('openssl-1.1');
    const program = folder.file('tls-client');
    // RPATH, as it also counts for the libcrypto that this libssl wants.
    const flags = [`-Wl,--disable-new-dtags,-rpath,${dirname(library)}`, library, `${dirname(library)}/libcrypto.so.1.1`];
    execFileSync('cc', ['-O2', '-w', '-o', program, programPath('tls-client.c'), ...flags], { stdio: ['ignore', 'ignore', 'inherit'] });
    const seen = await captureAgent({ program, args: [String(recorder.port), functions], env: {}, folder, families: FAMILIES });
    expectWhole(seen, recorder, {
      row: 'OpenSSL 1.1, shared', path: library, library: 'openssl', method: 'internal', functions: ['ssl_read_internal', 'ssl_write_internal', 'SSL_free'],
    });
    expect(seenConnections(seen.events)).toMatchObject([{ handshakes: [{ ok: true, serverName: 'localhost', alpn: ['http/1.1'] }], closed: true }]);
    expect(netData(seen.events, 'HELLO')).toMatchObject([{ role: 'client', server_name: 'localhost', alpn: ['http/1.1'], endpoint: { remote: { port: recorder.port } } }]);
  });

  test('linked into Node 16, with a reply in parts', async () => {
    const program = agentProgram('node-16');
    const args = ['-e', NODE, '--', `https://localhost:${recorder.port}/`];
    const seen = await captureAgent({ program, args, env: { NODE_EXTRA_CA_CERTS: recorder.certPath }, folder, families: FAMILIES });
    expect(seen.output).toBe(`${BODY.length + PARTS * 'data: 0\n\n'.length}\n`);
    expectWhole(seen, recorder, {
      row: 'OpenSSL 1.1, linked in, with symbols: Node 16', path: program, library: 'openssl', method: 'symbol', functions: ['SSL_read', 'SSL_write'],
    });
    expect(seenConnections(seen.events)).toMatchObject([{ handshakes: [{ ok: true, serverName: 'localhost', alpn: ['http/1.1'] }] }]);
    expect(netData(seen.events, 'HELLO')).toMatchObject([{ role: 'client', server_name: 'localhost', alpn: ['http/1.1'], endpoint: { remote: { port: recorder.port } } }]);
  });

  test('linked into the client of Sentry, without symbols', async () => {
    const program = agentProgram('sentry');
    const env = {
      SENTRY_URL: `https://localhost:${recorder.port}`, SENTRY_AUTH_TOKEN: 'of-the-test', SSL_CERT_FILE: recorder.certPath, SENTRY_DISABLE_UPDATE_CHECK: '1',
    };
    const seen = await captureAgent({ program, args: ['info'], env, folder, families: FAMILIES });
    expect(seen.output).toContain('somebody@example.test');
    expectWhole(seen, recorder, {
      row: 'OpenSSL 1.1, linked in, stripped: the client of Sentry', path: program, library: 'openssl', functions: ['ssl_read_internal', 'ssl_write_internal'],
    });
    expect(conversations(seen.events).some(({ written }) => written.includes('GET /api/0/'))).toBe(true);
    expect(netData(seen.events, 'HELLO')).toMatchObject([{ role: 'client', server_name: 'localhost', endpoint: { remote: { port: recorder.port } } }]);
  });
});
