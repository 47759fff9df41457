// Real clients against real servers over TLS, in HTTP/1.1 and HTTP/2, with the logs of both ends.
//
//   node servers.mjs run FOLDER nginx|node|GO-PROGRAM GO-PROGRAM    cert.pem and key.pem are in FOLDER; writes client.log and server.log there,
//                                                  and waits until trace.jsonl there says that the program of Go is hooked
//   node servers.mjs browse FOLDER nginx|node|GO-PROGRAM        the same with Chromium as the only client, which asks from within a page
//   node servers.mjs serve FOLDER                  the server of Node; tells its port on standard output, ends with its standard input
//   node servers.mjs ask FOLDER ORIGIN 1.1|2 NAME  the client of Node
//
// A line of a log: METHOD TARGET STATUS BODY-BYTES VERSION. Every client asks the same, and puts NAME into its targets.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { join } from 'node:path';
import { waitUntilHooked } from './hooked.mjs';
import { startNginx } from './nginx.mjs';

const [mode, folder, third, fourth, fifth] = process.argv.slice(2);
const LARGE_BYTES = 200_000;
const SENT = 'x'.repeat(50);
const REQUESTS = [['GET', '/small'], ['GET', '/large'], ['POST', '/small'], ['HEAD', '/large'], ['GET', '/missing']];
const certificate = join(folder, 'cert.pem');
const log = join(folder, 'server.log');

if (mode === 'serve') await serve();
else if (mode === 'ask') await ask(third, fourth, fifth);
else if (mode === 'browse') await browse(third);
else await run(third, fourth);

async function run(server, goProgram) {
  const { port, stop } = await (server === 'nginx' ? openNginx() : startServer(server));
  const hooked = await hookGo(goProgram);
  const origin = `https://localhost:${port}`;
  const clients = ['1.1', '2'].flatMap((version) => [
    curl(origin, version, `curl-${version}`),
    [process.execPath, process.argv[1], 'ask', folder, origin, version, `node-${version}`],
    [goProgram, 'ask', certificate, origin, version, `go-${version}`],
  ]);
  let report = '';
  for (const [program, ...args] of [...clients, python(port)]) report += execFileSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  writeFileSync(join(folder, 'client.log'), report.replaceAll(origin, ''));
  await stop();
  await hooked.stop();
}

async function browse(server) {
  const { port, stop } = await (server === 'nginx' ? openNginx() : server === 'node' ? startServer(server) : hookGo(server));
  const { openChromium } = await import('./chromium.mjs');
  const report = [];
  for (const version of ['1.1', '2']) {
    const { page, close } = await openChromium(folder, version === '2' ? [] : ['--disable-http2']);
    await page.goto(`https://localhost:${port}/missing?up`);
    report.push(...await page.evaluate(askFromPage, { requests: REQUESTS, name: `chromium-${version}`, sent: SENT }));
    await close();
  }
  writeFileSync(join(folder, 'client.log'), `${report.join('\n')}\n`);
  await stop();
}

/** Runs in the page, which says what it saw itself: the answers of fetch, and of each its own entry in the timeline of resources. */
async function askFromPage({ requests, name, sent }) {
  const { location, performance } = globalThis;
  const lines = [];
  for (const [method, path] of requests) {
    const target = `${path}?${name}`;
    const { href } = new URL(target, location.href);
    const known = performance.getEntriesByName(href).length;
    const response = await fetch(href, { method, cache: 'no-store', ...(method === 'POST' ? { body: sent } : {}) });
    const { byteLength } = await response.arrayBuffer();
    while (performance.getEntriesByName(href).length === known) await new Promise((resolve) => { setTimeout(resolve, 5); });
    lines.push(`${method} ${target} ${response.status} ${byteLength} ${performance.getEntriesByName(href).at(-1).nextHopProtocol.replace('http/', '').replace('h2', '2')}`);
  }
  return lines;
}

/** One stays until it is hooked. */
async function hookGo(program) {
  const started = await startServer(program);
  await waitUntilHooked(folder, program);
  return started;
}

async function startServer(server) {
  const args = server === 'node' ? [process.execPath, process.argv[1], 'serve', folder] : [server, 'serve', folder];
  const child = spawn(args[0], args.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const [port] = await once(child.stdout, 'data');
  return { port: Number(String(port)), stop: () => end(child) };
}

async function end(child) {
  const ended = once(child, 'exit');
  child.stdin.end();
  await ended;
}

function openNginx() {
  writeFileSync(join(folder, 'large'), 'y'.repeat(LARGE_BYTES));
  return startNginx(folder, {
    http: `log_format one '$request_method $request_uri $status $body_bytes_sent $server_protocol'; access_log ${log} one;`,
    locations: `location = /small { return 200 "small\\n"; } location / { root ${folder}; }`,
  });
}

function curl(origin, version, name) {
  const each = REQUESTS.map(([method, path]) => ['-sS', '--cacert', certificate, version === '2' ? '--http2' : '--http1.1', '-o', '/dev/null',
    '-w', '%{method} %{url_effective} %{response_code} %{size_download} %{http_version}\\n', ...(method === 'HEAD' ? ['-I'] : []), ...(method === 'POST' ? ['--data', SENT] : []), `${origin}${path}?${name}`]);
  return ['curl', ...each.flatMap((args, i) => (i === 0 ? args : ['--next', ...args]))];
}

function python(port) {
  return ['/usr/bin/python3', '-c', `
import http.client, ssl
connection = http.client.HTTPSConnection('localhost', ${port}, context=ssl.create_default_context(cafile='${certificate}'))
for method, path in ${JSON.stringify(REQUESTS)}:
    connection.request(method, path + '?python', body='${SENT}' if method == 'POST' else None)
    response = connection.getresponse()
    print(method, path + '?python', response.status, len(response.read()), '1.1')
connection.close()
`];
}

async function serve() {
  const server = http2.createSecureServer({ cert: readFileSync(certificate), key: readFileSync(join(folder, 'key.pem')), allowHTTP1: true }, (request, response) => {
    const { method, url, httpVersion } = request;
    const [path] = url.split('?');
    const body = path === '/small' ? 'small\n' : path === '/large' ? 'y'.repeat(LARGE_BYTES) : 'missing\n';
    request.resume().on('end', () => {
      response.writeHead(path === '/missing' ? 404 : 200, { 'content-length': body.length });
      appendFileSync(log, `${method} ${url} ${response.statusCode} ${method === 'HEAD' ? 0 : body.length} ${httpVersion.replace('.0', '')}\n`);
      response.end(method === 'HEAD' ? '' : body);
    });
  });
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
  process.stdin.on('end', () => process.exit(0)).resume();
}

async function ask(origin, version, name) {
  const ca = readFileSync(certificate);
  const session = version === '2' ? http2.connect(origin, { ca }) : null;
  const agent = new https.Agent({ ca, keepAlive: true, maxSockets: 1 });
  for (const [method, path] of REQUESTS) {
    const target = `${path}?${name}`;
    const stream = session?.request({ ':method': method, ':path': target }) ?? https.request(`${origin}${target}`, { method, agent });
    stream.end(method === 'POST' ? SENT : undefined);
    const [answer] = await once(stream, 'response');
    let bytes = 0;
    for await (const part of session === null ? answer : stream) bytes += part.length;
    process.stdout.write(`${method} ${target} ${session === null ? answer.statusCode : answer[':status']} ${bytes} ${version}\n`);
  }
  session?.close();
  agent.destroy();
}
