/**
 * HTTP/2 in plain text. `serve`: a server of Node, which speaks first; `upgrade`: one that takes
 * the first request of a connection in HTTP/1.1 and answers with the bytes on its command line, in hex;
 * `call URL [FILE]`: one gRPC call, of whose body FILE may be the bytes. Servers print their port and go when standard input ends.
 */
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';

const [mode, argument, file] = process.argv.slice(2);

const message = (text) => {
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(text.length + 2, 1);
  // Field 1 of protobuf: text.
  return Buffer.concat([frame, Buffer.of(0x0a, text.length), Buffer.from(text)]);
};

const answerCall = (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
  stream.end(message('pong'));
};

const answer = (stream, headers) => {
  const body = [];
  stream.on('data', (chunk) => body.push(chunk));
  stream.on('end', () => {
    if (headers['content-type'] === 'application/grpc') return answerCall(stream);
    stream.respond({ ':status': 200, 'x-path': headers[':path'] });
    stream.end(Buffer.concat([Buffer.from(`path=${headers[':path']};`), ...body]));
  });
};

const upgrade = (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', () => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
    socket.end(Buffer.from(argument, 'hex'));
    socket.resume();
  });
};

const listen = (server) => {
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
  process.stdin.resume();
  process.stdin.on('end', () => process.exit());
};

const call = (url) => {
  const session = http2.connect(url);
  const stream = session.request({ ':method': 'POST', ':path': '/echo.Echo/Ping', 'content-type': 'application/grpc', te: 'trailers' });
  stream.resume();
  stream.on('close', () => session.close());
  stream.end(file === undefined ? message('ping') : readFileSync(file));
};

if (mode === 'serve') listen(http2.createServer().on('stream', answer));
else if (mode === 'upgrade') listen(net.createServer(upgrade));
else call(argument);
