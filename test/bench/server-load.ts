/** HTTPS servers with replies of 1 KiB, and wrk that keeps them busy. */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { CERTIFICATE_PROGRAM } from '../helpers/files.ts';
import { endedChildrenCpuUs } from './cpu-time.ts';
import { waitFor } from '../helpers/wait.ts';

const REPLY_BYTES = 1024;
const CONNECTIONS = 16;
const READY_MS = 20_000;

const NODE_SERVER = `
const { createServer } = require('node:https');
const { readFileSync, writeFileSync } = require('node:fs');
const [, directory, port] = process.argv;
const read = (name) => readFileSync(directory + '/' + name);
const reply = 'x'.repeat(${REPLY_BYTES});
createServer({ cert: read('cert.pem'), key: read('key.pem') }, (request, response) => response.end(reply))
  .listen(Number(port), '127.0.0.1');
writeFileSync(directory + '/server.pid', String(process.pid));
process.on('SIGQUIT', () => process.exit());
`;

export interface LoadServer {
  readonly name: string;
  readonly port: number;
  /** How to start it: it stays in the foreground, and leaves its pid in server.pid. */
  readonly command: readonly [string, ...string[]];
  /** The file with the TLS functions that it calls. */
  readonly tlsFile: string;
}

export async function nginxServer(directory: string): Promise<LoadServer> {
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`);
  writeFileSync(file, `
    user root; daemon off; worker_processes 2; error_log /dev/null; pid ${directory}/server.pid;
    events { worker_connections 256; }
    http {
      access_log off; keepalive_requests 100000000; ${temporary.join(' ')}
      server {
        listen 127.0.0.1:${port} ssl; ssl_certificate ${directory}/cert.pem; ssl_certificate_key ${directory}/key.pem;
        location / { return 200 '${'x'.repeat(REPLY_BYTES)}'; }
      }
    }`);
  return { name: 'nginx', port, command: ['/usr/sbin/nginx', '-c', file], tlsFile: sharedOpenssl('/usr/sbin/nginx') };
}

export async function nodeServer(directory: string): Promise<LoadServer> {
  const port = await freePort();
  return { name: 'node', port, command: [process.execPath, '-e', NODE_SERVER, directory, String(port)], tlsFile: realpathSync(process.execPath) };
}

/** The certificate of the servers, and a client with a libssl of its own: hooks on the server's are not its matter. */
export function prepareLoad(directory: string): void {
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, directory]);
  const library = sharedOpenssl('/usr/bin/wrk');
  mkdirSync(join(directory, 'client'));
  copyFileSync(library, join(directory, 'client', 'libssl.so.3'));
}

function sharedOpenssl(program: string): string {
  const path = /libssl\.so\.3 => (\S+)/.exec(execFileSync('ldd', [program], { encoding: 'utf8' }))?.[1];
  if (path === undefined) throw new Error(`${program} does not use the shared OpenSSL 3`);
  return realpathSync(path);
}

export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  /** Of the client, per request. */
  readonly clientUs: number;
}

/** Requests without a pause over kept connections. An answer that is none is an error. */
export function load(directory: string, port: number, seconds: number): Promise<Load> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, `https://127.0.0.1:${port}/`];
  const child = spawn('/usr/bin/wrk', args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, LD_LIBRARY_PATH: join(directory, 'client') } });
  const before = endedChildrenCpuUs();
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text; });
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', () => {
      const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
      const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
      if (!(perSecond > 0) || /Non-2xx|Socket errors/.test(output)) reject(new Error(`the load failed:\n${output}`));
      else resolve({ requests, perSecond, clientUs: (endedChildrenCpuUs() - before) / requests });
    });
  });
}

export async function isUp({ port }: LoadServer): Promise<void> {
  await waitFor(`a server on port ${port}`, () => new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  }), READY_MS);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Ends the server that left its pid here. */
export function stopServer(directory: string): void {
  const file = join(directory, 'server.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8'));
  // The one that a trace launched ends with it, and leaves its file.
  if (pid > 0 && existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGQUIT');
}
