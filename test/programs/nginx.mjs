// nginx for tests: on a port of its own, its files in FOLDER, where cert.pem and key.pem are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** `locations`: what its one server has. `/up` is answered with 404 until somebody else asks. */
export async function startNginx(folder, { http = '', locations, options = 'ssl http2' }) {
  const certificate = join(folder, 'cert.pem');
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, `user root; daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events {}
http {
  ${http}
  server {
    listen 127.0.0.1:${port} ${options}; ssl_certificate ${certificate}; ssl_certificate_key ${folder}/key.pem;
    location = /up { return 404; }
    ${locations}
  }
}
`);
  const child = spawn('/usr/sbin/nginx', ['-c', file, '-e', join(folder, 'error.log')], { stdio: ['ignore', 'inherit', 'inherit'] });
  while (!await isUp(port, readFileSync(certificate))) {
    if (child.exitCode !== null) throw new Error('nginx does not start');
  }
  return {
    port,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGQUIT');
      await ended;
    },
  };
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

function isUp(port, ca) {
  return new Promise((resolve) => {
    https.get({ host: '127.0.0.1', port, path: '/up?up', ca, servername: 'localhost', agent: false }, (response) => response.resume().on('end', () => resolve(true)))
      .on('error', () => resolve(false));
  });
}
