/** What a user asks of `trace` about traffic: how much of one call is kept, and which ports are plain HTTP. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, runCli, type CliResult } from '../helpers/cli.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startTlsServer } from '../programs/tls-server.ts';

/** Head and body each in a call of its own: Python hands them to OpenSSL whole. */
const POST = `
import socket, ssl, sys
port, cert, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context(cafile=cert)
with context.wrap_socket(socket.create_connection(('127.0.0.1', port)), server_hostname='localhost') as connection:
    connection.sendall(b'POST /large HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n' % size)
    connection.sendall(b'x' * size)
    while connection.recv(1000): pass
`;

/** A server has to pass over empty lines before a request; nothing that begins so is known for HTTP. */
const GET_AFTER_EMPTY_LINES = `
import socket, sys
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as connection:
    connection.sendall(b'\\r\\n\\r\\nGET /late HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
    while connection.recv(1000): pass
`;

describeKernel('trace: traffic as a user asks for it', () => {
  let dir: TempDir;
  let server: Server;
  beforeEach(() => {
    dir = tempDir();
    server = createServer((request, response) => response.end(`got ${request.url}`));
  });
  afterEach(() => {
    server.close();
    dir.remove();
  });

  const launch = (file: string, flags: readonly string[], program: string, ...args: readonly string[]): Promise<CliResult> =>
    runCli(['trace', '--no-hub', '-o', dir.file(file), ...flags, '--', '/usr/bin/python3', '-S', '-c', program, ...args], { cwd: dir.path });

  it('--max-payload: of a longer call so much is kept, the rest is counted, and the exchange says what it lacks', async () => {
    const tls = await startTlsServer(CERTIFICATE_PROGRAM);
    try {
      const size = 200_000;
      const kept = 64 * 1024;
      const result = await launch('cut', ['--raw', '--max-payload', '64K'], POST, String(tls.port), tls.certPath, String(size));
      expect(result.code, result.stderr).toBe(0);
      expect(tls.seen.map(({ requestBody }) => requestBody.length)).toEqual([size]);
      expect(result.stderr).toContain(`LOST: ${(size - kept).toLocaleString('en')} bytes of tls payload were beyond the limit of one call (--max-payload raises it)`);
      const events = readEvents(dir.file('cut'));
      const parts = ofSource(events, 'tls').filter(({ data }) => data['total'] === size);
      expect(parts.map(({ data }) => [data['offset'], data['truncated']])).toEqual([[0, true], [kept / 2, true]]);
      expect(parts.map(({ data }) => data['payload']).join('')).toBe('x'.repeat(kept));
      expect(ofSource(events, 'http').map(({ data }) => data)).toEqual([expect.objectContaining({
        state: 'partial', reason: `gap of ${size - kept} bytes`, method: 'POST', request_body: 'x'.repeat(kept), request_body_bytes: size, response_body: `${size}\n`,
      })]);
      expect(ofSource(events, 'loss').map(({ data }) => data)).toEqual([expect.objectContaining({ of: 'tls', cause: 'payload limit reached', bytes: size - kept })]);
      const whole = await launch('whole', [], POST, String(tls.port), tls.certPath, String(size));
      expect(whole.stderr).toContain('nothing lost');
      expect(ofSource(readEvents(dir.file('whole')), 'http').map(({ data }) => [data['state'], String(data['request_body']).length])).toEqual([['complete', size]]);
    } finally {
      await tls.close();
    }
  });

  it("AgentSight's --ssl-filter: what it leaves out is not parsed, without --raw too", async () => {
    const tls = await startTlsServer(CERTIFICATE_PROGRAM);
    try {
      const whole = ['complete', 'POST', 200, 'xxxxx', '5\n'];
      for (const [filter, expected] of [
        ['comm=python3', []],
        ['function=READ/RECV', [['aborted', 'POST', null, 'xxxxx', null]]],
        ['data~Host: localhost&len>20 | function=READ/RECV', []],
        ['function=HANDSHAKE', [whole]],
        ['data.type=binary | comm=other | len>1000', [whole]],
      ] as const) {
        const file = filter.replaceAll(/\W/g, '');
        const result = await launch(file, ['--ssl-filter', filter], POST, String(tls.port), tls.certPath, '5');
        expect(result.code, result.stderr).toBe(0);
        expect(result.stderr).toContain('nothing lost');
        const exchanges = ofSource(readEvents(dir.file(file)), 'http').map(({ data }) => ['state', 'method', 'status', 'request_body', 'response_body'].map((key) => data[key]));
        expect(exchanges, filter).toEqual(expected);
      }
      const refused = await launch('refused', ['--ssl-filter', 'function=foo'], POST, '1', '', '5');
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('function is one of READ/RECV, WRITE/SEND, HANDSHAKE') as unknown });
    } finally {
      await tls.close();
    }
  });

  it('--plain-port: HTTP there is seen whatever its first bytes are', async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = String((server.address() as AddressInfo).port);
    for (const [file, flags, expected] of [
      ['unknown', [], []],
      ['named', ['--plain-port', `9,${port}`], [['complete', 'GET', '/late', 'got /late']]],
    ] as const) {
      const result = await launch(file, flags, GET_AFTER_EMPTY_LINES, port);
      expect(result.code, result.stderr).toBe(0);
      const exchanges = ofSource(readEvents(dir.file(file)), 'http').map(({ data }) => [data['state'], data['method'], data['path'], data['response_body']]);
      expect(exchanges, result.stderr).toEqual(expected);
    }
  });
});
