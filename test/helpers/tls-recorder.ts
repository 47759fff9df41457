/** A TLS server in front of a plain one: it remembers the plaintext of each connection, whatever protocol it is. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type AddressInfo, type Server } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { CERTIFICATE_PROGRAM, tempDir } from './files.ts';

export interface RecordedConnection {
  readonly received: Buffer[];
  readonly sent: Buffer[];
}

export interface TlsRecorder {
  readonly port: number;
  /** PEM file that clients trust. */
  readonly certPath: string;
  readonly connections: readonly RecordedConnection[];
  close(): Promise<void>;
}

export interface TlsRecorderOptions {
  readonly alpn?: readonly string[];
  /** The certificate of an authority, which strict clients want to trust, or of a server alone, as rustls wants it. */
  readonly certificate?: 'authority' | 'leaf';
}

/** `plain` is not listening yet; both end with `close`. */
export async function startTlsRecorder(
  plain: Server, { alpn = ['http/1.1'], certificate = 'authority' }: TlsRecorderOptions = {},
): Promise<TlsRecorder> {
  const folder = tempDir();
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path, ...(certificate === 'leaf' ? ['--leaf'] : [])]);
  const plainPort = await listen(plain);
  const connections: RecordedConnection[] = [];
  const sockets = new Set<TLSSocket>();
  const options = { cert: readFileSync(folder.file('cert.pem')), key: readFileSync(folder.file('key.pem')), ALPNProtocols: [...alpn] };
  const server = createServer(options, (socket) => {
    const connection: RecordedConnection = { received: [], sent: [] };
    connections.push(connection);
    sockets.add(socket);
    const upstream = connect(plainPort, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => connection.received.push(chunk));
    upstream.on('data', (chunk: Buffer) => connection.sent.push(chunk));
    for (const end of [socket, upstream]) end.on('error', () => undefined);
    socket.pipe(upstream).pipe(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      upstream.destroy();
    });
  });
  return {
    port: await listen(server),
    certPath: folder.file('cert.pem'),
    connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      for (const one of [server, plain]) {
        one.close();
        await once(one, 'close');
      }
      folder.remove();
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
