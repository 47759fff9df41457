/** TLS servers in a process of their own, so that their work does not delay the collector's. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { CERTIFICATE_PROGRAM } from '../helpers/files.ts';

/** Starts what `server` is, with the certificate in `options`, and ends with its standard input. */
const program = (server: string): string => `
const { readFileSync } = require('node:fs');
const read = (name) => readFileSync(process.argv[1] + '/' + name);
const options = { cert: read('cert.pem'), key: read('key.pem') };
const server = ${server};
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
`;
const HTTPS = program(`require('node:https').createServer(options, (request, response) => response.end('answer\\n'))`);
/** A client that goes without a word is none of its errors. */
const ECHO = program(`require('node:tls').createServer(options, (socket) => socket.on('error', () => socket.destroy()).pipe(socket))`);

export interface TlsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers every request with a line. `directory` gets its certificate. */
export async function startHttpsServer(directory: string): Promise<TlsServer> {
  return start(HTTPS, directory);
}

/** Sends back what it gets. `directory` gets its certificate. */
export async function startEchoServer(directory: string): Promise<TlsServer> {
  return start(ECHO, directory);
}

async function start(source: string, directory: string): Promise<TlsServer> {
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, directory]);
  const child = spawn(process.execPath, ['-e', source, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    port: Number(line.toString()),
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
