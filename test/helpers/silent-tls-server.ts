/** A TLS server that greets and says nothing: its client waits for an answer, and can be looked at meanwhile. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type TLSSocket } from 'node:tls';
import { CERTIFICATE_PROGRAM, tempDir } from './files.ts';
import { listening } from './listening.ts';

export interface SilentTlsServer {
  readonly port: number;
  /** Of the first client, once it has asked something. */
  readonly asked: Promise<TLSSocket>;
  close(): Promise<void>;
}

export async function startSilentTlsServer(): Promise<SilentTlsServer> {
  const folder = tempDir();
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path]);
  const sockets = new Set<TLSSocket>();
  const server = createServer({ cert: readFileSync(folder.file('cert.pem')), key: readFileSync(folder.file('key.pem')) });
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  const { port, close } = await listening(server);
  const asked = (once(server, 'secureConnection') as Promise<[TLSSocket]>).then(async ([first]) => {
    await once(first, 'data');
    return first;
  });
  return {
    port,
    asked,
    async close() {
      for (const socket of sockets) socket.destroy();
      await close();
      folder.remove();
    },
  };
}
