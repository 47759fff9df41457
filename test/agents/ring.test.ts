/** rustls with ring, in a program of ours without symbols: each of its ciphers, in both versions of TLS. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { buildRust } from '../helpers/rust.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

/** Larger than a TLS record in both directions. */
const BODY = Array.from({ length: 8000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join('');
const REQUEST = `POST /question HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const VARIANTS = ['1.3', '1.2'].flatMap((version) => ['aes-128', 'aes-256', 'chacha'].map((cipher) => [version, cipher] as const));
const BUILD_LIMIT_MS = 10 * 60_000;

describeAgents('what rustls with ring says and hears is seen byte for byte', () => {
  let program = '';
  let folder: TempDir;
  let recorder: TlsRecorder;
  beforeAll(async () => {
    program = await buildRust('rustls-client');
    folder = tempDir();
    writeFileSync(folder.file('request'), REQUEST);
  }, BUILD_LIMIT_MS);
  afterAll(() => folder.remove());
  beforeEach(async () => {
    const plain = createServer((request, response) => void request.resume().on('end', () => response.end(BODY)));
    recorder = await startTlsRecorder(plain, { certificate: 'leaf' });
  });
  afterEach(() => recorder.close());

  test.each(VARIANTS)('TLS %s, %s', async (version, cipher) => {
    const args = [String(recorder.port), recorder.certPath, folder.file('request'), version, cipher];
    const seen = await captureAgent({ program, args, env: {}, folder });
    expect(Number(seen.output)).toBeGreaterThan(BODY.length);
    expectWhole(seen, recorder, {
      row: 'rustls with ring 0.16: a client of ours',
      path: program,
      library: 'rustls',
      functions: ['aes_gcm_open', 'aes_gcm_seal', 'chacha20_poly1305_open', 'chacha20_poly1305_seal'],
    });
  });
});
