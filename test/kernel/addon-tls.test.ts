/** What the TLS programs report of known clients, straight from the ring. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { loadAddon, type UprobeProgram, type UprobeTarget } from '../../src/addon.ts';
import { COUNTER, COUNTER_SOURCE, RECORD_KIND, TLS_LIBRARY } from '../../src/decode/layout.ts';
import { countedOf } from '../../src/runners/loss.ts';
import { locateTls } from '../../src/runners/tls-locate.ts';
import { startCapture, tlsOf, type RawRecord, type TestCapture } from '../helpers/capture.ts';
import { CERTIFICATE_PROGRAM } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';
import { largeBody, startTlsServer, type TlsServer } from '../programs/tls-server.ts';

const { RECORD_TLS_DATA: DATA, RECORD_TLS_CLOSE: CLOSE } = RECORD_KIND;
const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'];
const LIBSSL = FOLDERS.map((folder) => `${folder}/libssl.so.3`).find((path) => existsSync(path)) ?? '/usr/lib/libssl.so.3';
const PYTHON = '/usr/bin/python3';

/** Exit programs first: a call then never begins without its end being seen. */
function functionProbes(path: string, names: Readonly<Record<string, string>>): UprobeTarget[] {
  const { symbols } = loadAddon().readElf(path, Object.values(names));
  return Object.entries(names).flatMap(([program, symbol]) => {
    const offset = symbols.find(({ name }) => name === symbol)?.offset;
    if (offset === undefined) throw new Error(`${path} has no ${symbol}`);
    const ends = program === 'ssl_free' ? ['enter'] : ['exit', 'enter'];
    return ends.map((end): UprobeTarget => ({ program: `${program}_${end}` as UprobeProgram, path, offset, pid: null, cookie: TLS_LIBRARY.TLS_OPENSSL }));
  });
}

const PLAIN = { ssl_read: 'SSL_read', ssl_write: 'SSL_write', ssl_free: 'SSL_free' };
const EX = { ssl_read_ex: 'SSL_read_ex', ssl_write_ex: 'SSL_write_ex' };

describeKernel('tls programs', () => {
  let server: TlsServer;
  let traced: TestCapture;
  beforeAll(async () => { server = await startTlsServer(CERTIFICATE_PROGRAM); });
  afterAll(async () => { await server.close(); });
  beforeEach(() => { traced = startCapture({ families: ['process', 'tls'] }); });
  afterEach(() => traced.capture.close());

  const attach = (targets: readonly UprobeTarget[]): number[] => targets.map((target) => traced.capture.attachUprobe(target));

  /** One direction of the one connection there is, put together; every byte must be there once. */
  function stream(isWrite: boolean): Buffer {
    const parts = traced.of(DATA).map((record) => tlsOf(record)).filter((part) => part.isWrite === isWrite);
    expect(new Set(parts.map((part) => part.connection)).size).toBe(1);
    let at = 0;
    for (const part of parts) {
      expect(part.position + part.offset).toBe(at);
      at += part.payload.length;
    }
    return Buffer.concat(parts.map((part) => part.payload));
  }
  const curl = (path: string, ...more: readonly string[]): string[] =>
    ['curl', '-s', '--http1.1', '--cacert', server.certPath, '-o', '/dev/null', ...more, server.url + path];

  it('carry both directions of a curl exchange whole, then its close', async () => {
    attach(functionProbes(LIBSSL, PLAIN));
    expect((await traced.run(curl('/large'))).code).toBe(0);
    expect(stream(true).toString('latin1')).toMatch(/^GET \/large HTTP\/1\.1\r\n[^]*\r\n\r\n$/);
    const answer = stream(false).toString('latin1');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.endsWith(largeBody())).toBe(true);
    const closes = traced.of(CLOSE);
    expect(closes).toHaveLength(1);
    expect(closes[0]?.bytes.readBigUInt64LE(64)).toBe(tlsOf(traced.of(DATA)[0] as RawRecord).connection);
    expect(traced.records.indexOf(closes[0] as RawRecord)).toBeGreaterThan(traced.records.indexOf(traced.of(DATA).at(-1) as RawRecord));
  });

  it('carry one call of 1 MiB through the _ex functions in parts', async () => {
    attach(functionProbes(LIBSSL, EX));
    const program = [
      'import hashlib, socket, ssl, sys',
      'context = ssl.create_default_context(cafile=sys.argv[1])',
      'connection = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[2]))), server_hostname="localhost")',
      'body = b"".join(hashlib.md5(b"%d" % i).digest() for i in range(65536))',
      'connection.sendall(b"POST /large HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Length: 1048576\\r\\n\\r\\n")',
      'connection.sendall(body)',
      'while connection.recv(65536): pass',
    ].join('\n');
    expect((await traced.run([PYTHON, '-c', program, server.certPath, String(server.port)])).code).toBe(0);
    const body = Buffer.concat(Array.from({ length: 65_536 }, (_, index) => createHash('md5').update(String(index)).digest()));
    const sent = stream(true);
    expect(sent.subarray(sent.indexOf('\r\n\r\n') + 4).equals(body)).toBe(true);
    expect(traced.of(DATA).some((record) => tlsOf(record).total === 1_048_576)).toBe(true);
    expect(stream(false).toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it('carry each byte once where a function and the internal one below it are both hooked', async () => {
    const plan = locateTls(LIBSSL, loadAddon().readElf);
    if (plan.kind !== 'hook') throw new Error('OpenSSL was expected');
    attach(plan.probes.map(({ program, offset }) => ({ program, offset, path: LIBSSL, pid: null, cookie: TLS_LIBRARY.TLS_OPENSSL })));
    attach(functionProbes(LIBSSL, { ssl_read: 'SSL_read', ssl_write: 'SSL_write' }));
    expect((await traced.run(curl('/large'))).code).toBe(0);
    expect(stream(false).toString('latin1').endsWith(largeBody())).toBe(true);
    expect(stream(true).toString('latin1').match(/GET \/large/g)).toHaveLength(1);
  });

  it("carry what Node's own OpenSSL sends, though it tries a write more than once", async () => {
    attach(functionProbes(process.execPath, PLAIN));
    const program = `
      const { readFileSync } = require('node:fs');
      const [certPath, url] = process.argv.slice(1);
      const request = require('node:https').request(url + '/large', { method: 'POST', ca: readFileSync(certPath), agent: false }, (answer) => answer.resume());
      request.end(Buffer.alloc(300000, 'abcdefghij'));`;
    expect((await traced.run([process.execPath, '-e', program, server.certPath, server.url])).code).toBe(0);
    const sent = stream(true);
    expect(sent.subarray(sent.indexOf('\r\n\r\n') + 4).equals(Buffer.alloc(300_000, 'abcdefghij'))).toBe(true);
    expect(countedOf(traced.capture.kernelCounters(), COUNTER_SOURCE.COUNT_TLS, COUNTER.COUNT_MISSED)).toBe(0);
  });

  it('tell two connections of one process apart', async () => {
    attach(functionProbes(LIBSSL, PLAIN));
    await traced.run([...curl('/hello'), '--next', ...curl('/empty').slice(1), '-H', 'Connection: close']);
    await traced.run(curl('/hello'));
    const ids = new Set(traced.of(DATA).map((record) => tlsOf(record).connection));
    expect(ids.size).toBeGreaterThanOrEqual(2);
    // Every connection starts at byte 0.
    for (const id of ids) {
      const first = traced.of(DATA).map((record) => tlsOf(record)).find((part) => part.connection === id);
      expect(first?.position).toBe(0);
    }
  });

  it('say nothing of processes that are not traced, and stop when detached', async () => {
    const ids = attach(functionProbes(LIBSSL, PLAIN));
    const [command, ...args] = curl('/hello');
    await promisify(execFile)(command as string, args);
    await traced.capture.drain();
    expect(traced.records).toEqual([]);
    for (const id of ids) traced.capture.detachUprobe(id);
    // The kernel takes its time, off this thread.
    await waitFor('a client that nothing is seen of', async () => {
      traced.records.length = 0;
      await traced.run(curl('/hello'));
      return traced.of(DATA).length === 0;
    });
  });
});
