/**
 * As tlsloop.c, with Node's tls: both ends in one process over loopback.
 *
 *   node tlsloop.mjs ROUNDS SIZE CERT KEY REPORT
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:tls';

const [rounds = 0, size = 0] = process.argv.slice(2, 4).map(Number);
const [cert = '', key = '', report = ''] = process.argv.slice(4);
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }).listen(0, '127.0.0.1');
await once(server, 'listening');
const client = connect({ port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false });
const [[accepted]] = await Promise.all([once(server, 'secureConnection'), once(client, 'secureConnect')]);
const chunk = Buffer.alloc(size, 'x');

const start = process.hrtime.bigint();
const cpu = process.cpuUsage();
await new Promise((resolve) => {
  let got = 0;
  accepted.on('data', (bytes) => {
    got += bytes.length;
    if (got === rounds * size) resolve();
    else if (got % size === 0) client.write(chunk);
  });
  client.write(chunk);
});
const used = process.cpuUsage(cpu);
const wallNs = Number(process.hrtime.bigint() - start);
writeFileSync(report, `${JSON.stringify({ count: rounds, wallNs, cpuNs: (used.user + used.system) * 1000 })}\n`);
process.exit();
