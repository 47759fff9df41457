/**
 * A TLS server that remembers every byte: what it received and what it sent on
 * each connection. It answers each request whole with a fixed body and closes.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type TLSSocket } from 'node:tls';
import { CERTIFICATE_PROGRAM, tempDir } from './files.ts';

export interface RawConnection {
  received: Buffer;
  readonly sent: Buffer;
}

export interface RawTlsServer {
  readonly port: number;
  readonly certPath: string;
  readonly keyPath: string;
  readonly connections: readonly RawConnection[];
  close(): Promise<void>;
}

export async function startRawTlsServer(body: Buffer): Promise<RawTlsServer> {
  const folder = tempDir();
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path]);
  const sent = Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`),
    body,
  ]);
  const connections: RawConnection[] = [];
  const sockets = new Set<TLSSocket>();
  const [certPath, keyPath] = [folder.file('cert.pem'), folder.file('key.pem')];
  const options = { cert: readFileSync(certPath), key: readFileSync(keyPath) };
  const server = createServer(options, (socket) => {
    const connection: RawConnection = { received: Buffer.alloc(0), sent };
    connections.push(connection);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      connection.received = Buffer.concat([connection.received, chunk]);
      if (isWhole(connection.received)) socket.end(sent);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    certPath,
    keyPath,
    connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
      folder.remove();
    },
  };
}

function isWhole(request: Buffer): boolean {
  const headEnd = request.indexOf('\r\n\r\n');
  if (headEnd === -1) return false;
  const length = /content-length: *(\d+)/i.exec(request.toString('latin1', 0, headEnd))?.[1] ?? '0';
  return request.length >= headEnd + 4 + Number(length);
}
