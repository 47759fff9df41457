/** Bytes that a WebSocket client and a server, both of `ws`, exchange, as a traced client would write and read them; and what each says it sent. */
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import type { Direction } from '../../src/event.ts';
import type { Random } from './random.ts';
import { pair } from './recorded-pair.ts';

export interface Piece {
  readonly direction: Direction;
  readonly bytes: Buffer;
  readonly position: number;
}

export interface Sent {
  readonly direction: Direction;
  readonly opcode: string;
  readonly body: Buffer;
  readonly fragments: number;
}

export interface WebsocketTraffic {
  readonly pieces: readonly Piece[];
  /** In the order of each direction, but for pongs: those are the ones that arrived. */
  readonly sent: readonly Sent[];
}

/** What `ws` takes as `perMessageDeflate`. */
export type Deflate = false | {
  readonly threshold: number;
  readonly serverNoContextTakeover?: boolean;
  readonly clientNoContextTakeover?: boolean;
  readonly serverMaxWindowBits?: number;
  readonly clientMaxWindowBits?: number;
};

const MESSAGES = 12;

export async function recordWebsocket(random: Random, deflate: Deflate): Promise<WebsocketTraffic> {
  const pieces: Piece[] = [];
  const sent: Sent[] = [];
  const [near, far] = pair((direction, bytes, position) => pieces.push({ direction, bytes, position }));
  const http = createServer();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: deflate });
  const accepted = new Promise<WebSocket>((resolve) => {
    http.on('upgrade', (request, socket, head) => server.handleUpgrade(request, socket, head, resolve));
  });
  http.emit('connection', far);
  const client = new WebSocket('ws://a.example/live', { createConnection: () => near as never, perMessageDeflate: deflate === false ? false : { threshold: deflate.threshold } });
  try {
    const ends = await Promise.all([accepted, opened(client)]);
    for (const [index, direction] of (['write', 'read'] as const).entries()) {
      ends[index]?.on('pong', (body) => sent.push({ direction, opcode: 'pong', body: Buffer.from(body), fragments: 1 }));
    }
    await Promise.all(ends.map((end, index) => talk(end, { direction: index === 0 ? 'read' : 'write', random, sent })));
    await Promise.all([closed(ends[0]), close(client, sent)]);
  } finally {
    client.terminate();
    near.destroy();
    far.destroy();
  }
  return { pieces, sent };
}

function opened(client: WebSocket): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    client.once('open', () => resolve(client));
    client.once('error', reject);
  });
}

function closed(end: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (end.readyState === WebSocket.CLOSED) resolve();
    else end.once('close', () => resolve());
  });
}

function close(client: WebSocket, sent: Sent[]): Promise<void> {
  const body = Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('enough')]);
  // The server answers a close with the same.
  sent.push({ direction: 'write', opcode: 'close', body, fragments: 1 }, { direction: 'read', opcode: 'close', body, fragments: 1 });
  client.close(1000, 'enough');
  return closed(client);
}

interface Talk {
  readonly direction: Direction;
  readonly random: Random;
  readonly sent: Sent[];
}

async function talk(end: WebSocket, { direction, random, sent }: Talk): Promise<void> {
  for (let i = 0; i < MESSAGES; i++) {
    const body = bodyOf(random, i);
    const binary = random(3) === 0;
    const fragments = random(3) === 0 ? 1 + random(3) : 1;
    for (let part = 0; part < fragments; part++) {
      const bytes = body.subarray(part * Math.ceil(body.length / fragments), (part + 1) * Math.ceil(body.length / fragments));
      await said((done) => end.send(bytes, { binary, fin: part === fragments - 1 }, done));
    }
    sent.push({ direction, opcode: binary ? 'binary' : 'text', body, fragments });
    if (random(4) > 0) continue;
    const ping = Buffer.from(`ping ${i}`);
    await said((done) => end.ping(ping, undefined, done));
    sent.push({ direction, opcode: 'ping', body: ping, fragments: 1 });
  }
}

function said(say: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    say((error) => (error == null ? resolve() : reject(error)));
  });
}

/** Words that come again and again, as a compressor likes them, with a key in between. */
function bodyOf(random: Random, index: number): Buffer {
  const words = Array.from({ length: random(10) === 0 ? 9000 : random(30) }, () => ['{"type":"delta"}', ' word', 'é', ' sk-hunterhunter ', ` n${random(99)}`][random(5)]);
  return Buffer.from(`${index} ${words.join('')}`);
}
