/** An HTTPS server in a process of its own, so that its work does not delay the collector's. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { CERTIFICATE_PROGRAM } from '../helpers/files.ts';

const PROGRAM = `
const { createServer } = require('node:https');
const { readFileSync } = require('node:fs');
const read = (name) => readFileSync(process.argv[1] + '/' + name);
const server = createServer({ cert: read('cert.pem'), key: read('key.pem') }, (request, response) => response.end('answer\\n'));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
`;

export interface HttpsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `directory` gets its certificate. */
export async function startHttpsServer(directory: string): Promise<HttpsServer> {
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, directory]);
  const child = spawn(process.execPath, ['-e', PROGRAM, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    port: Number(line.toString()),
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
