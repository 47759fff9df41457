/**
 * One secret of each known kind, and events that carry it in every place where
 * programs put one. None was ever given out by anybody: each is put together here.
 */
import { gzipSync } from 'node:zlib';
import type { Direction, Event } from '../../src/event.ts';
import { unescape } from '../cases.ts';
import { framesOf } from '../frames.ts';
import { chunk, eventOf, everySource } from './events.ts';

export interface Secret {
  /** As its name in events begins. */
  readonly kind: string;
  readonly text: string;
}

const RUN = 'Zq7Xw2Kd9Lm4Vb6Nc3Rt8Yp5Hj1Gf0Sa';

export const SECRETS: readonly Secret[] = [
  ['anthropic', `sk-ant-api03-${RUN}`], ['openai', `sk-proj-${RUN}`], ['google', `AIza${RUN}`], ['google', `ya29.${RUN}`], ['aws', `AKIA${RUN.toUpperCase().slice(0, 16)}`],
  ['github', `ghp_${RUN}`], ['github', `github_pat_${RUN}`], ['gitlab', `glpat-${RUN}`], ['slack', `xoxb-1234-${RUN}`], ['huggingface', `hf_${RUN}`], ['groq', `gsk_${RUN}`],
  ['npm', `npm_${RUN}`], ['stripe', `sk_live_${RUN}`], ['jwt', `eyJhbGciOiJIUzI1NiJ9.${RUN}.${RUN}`],
  ['named', `correct-horse-${RUN}`],
].map(([kind = '', text = '']) => ({ kind, text }));

/** Lines of a key, and of a key in the JSON of a message. */
export const KEY_BLOCK = `-----BEGIN PRIVATE KEY-----\nMIIE${RUN}${RUN}\n${RUN}==\n-----END PRIVATE KEY-----\n`;
export const KEY_BLOCK_PARTS: readonly string[] = [`MIIE${RUN}${RUN}`, `${RUN}==`];

const EMPTY: Buffer = Buffer.alloc(0);

interface Carrier {
  /** Of its process. */
  readonly pid: number;
  next(): number;
}

/** All events of one process, which uses no other secret. */
export function eventsWith({ text }: Secret, pid: number): readonly Event[] {
  let sequence = pid * 1000;
  const carrier: Carrier = { pid, next: () => ++sequence };
  const json = JSON.stringify({ model: 'm', api_key: text, messages: [{ role: 'user', content: `API_KEY=${text} run` }] });
  return [
    ...exchange(carrier, 'header', request({ fields: `x-api-key: ${text}` })),
    ...exchange(carrier, 'bearer', request({ fields: `Authorization: Bearer ${text}` })),
    ...exchange(carrier, 'query', request({ target: `/v1?access_token=${text}&x=1` })),
    ...exchange(carrier, 'json', request({ body: Buffer.from(json) })),
    ...exchange(carrier, 'form', request({ body: Buffer.from(`grant_type=password&password=${text}&scope=a`) })),
    ...exchange(carrier, 'gzip', request({ fields: 'Content-Encoding: gzip', body: gzipSync(json) })),
    ...exchange(carrier, 'sse', request({}), sseResponse(`{"text":"export API_KEY=${text} now"}`)),
    ...exchange(carrier, 'http2', http2Requests(text)),
    ...plain(carrier, text),
  ];
}

/** What is no traffic: a command line, a shell's line, environment, a tool's request over two writes. */
function plain(carrier: Carrier, text: string): Event[] {
  const exec = everySource().find((event) => event.source === 'process' && event.data.event === 'EXEC') as Event;
  const call = `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/x', params: { token: text } })}\n`;
  const stdio = (payload: string, target = 'pipe:[77]') => ({ fd: 1, role: 'stdout', target, peer_target: target, peers: [], ...chunk(Buffer.from(payload)) }) as const;
  return [
    of(carrier, { ...exec, data: { ...exec.data, argv: ['agent', '--api-key', text, `--token=${text}`, '-H', `X-Api-Key: ${text}`, `https://h.test/?key=${text}`] } } as Event),
    of(carrier, eventOf('readline', { line: `export SERVICE_TOKEN=${text}`, truncated: false })),
    of(carrier, eventOf('stdio', stdio(`HOME=/root\nSERVICE_API_KEY=${text}\nPATH=/bin\n`))),
    of(carrier, eventOf('stdio', stdio(call, 'pipe:[78]'))),
    of(carrier, eventOf('file', {
      event: 'SYMLINK', path: `/tmp/token=${text}`, target: `password=${text}`, error: null, flags: [], created: null, mode: null, length: null, uid: null, gid: null, count: 1,
      span_ms: 0, truncated: false,
    })),
  ];
}

/** A key block in the JSON of a body, in a stream and in what a program prints. */
export function eventsWithKeyBlock(pid: number): readonly Event[] {
  let sequence = pid * 1000;
  const carrier: Carrier = { pid, next: () => ++sequence };
  const stdio = { fd: 1, role: 'stdout', target: 'pipe:[77]', peer_target: 'pipe:[77]', peers: [], ...chunk(Buffer.from(KEY_BLOCK)) } as const;
  return [
    ...exchange(carrier, 'json', request({ body: Buffer.from(JSON.stringify({ pem: KEY_BLOCK })) })),
    ...exchange(carrier, 'sse', request({}), sseResponse(JSON.stringify({ text: KEY_BLOCK }))),
    of(carrier, eventOf('stdio', stdio)),
  ];
}

function of({ pid, next }: Carrier, event: Event): Event {
  const sequence = next();
  return { ...event, pid, process: `h.b.1.${pid}`, session: `h.b.1.${pid}`, id: `h.b.c.${sequence}`, timestamp: event.timestamp + BigInt(sequence) } as Event;
}

function exchange(carrier: Carrier, place: string, sent: Buffer, received: Buffer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')): Event[] {
  const connection = `c${carrier.pid}-${place}`;
  const part = (direction: Direction, bytes: Buffer): Event => of(carrier, eventOf('tls', {
    event: 'DATA', connection, position: 0, library: 'openssl', endpoint: null, server_name: null, ...chunk(bytes), direction,
  }));
  return [part('write', sent), ...(place === 'http2' ? [] : [part('read', received)]), of(carrier, eventOf('tls', { event: 'CLOSE', connection }))];
}

function request({ target = '/v1', fields = 'Accept: */*', body = EMPTY }: { readonly target?: string; readonly fields?: string; readonly body?: Buffer }): Buffer {
  return Buffer.concat([Buffer.from(`POST ${target} HTTP/1.1\r\nHost: api.test\r\n${fields}\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
}

function sseResponse(data: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ${data}\n\n`);
}

/** The second names the key by its place in the table. */
function http2Requests(text: string): Buffer {
  return framesOf(`preface
settings
headers 1 end
  :method: POST
  :path: /v1
  +~x-api-key: ${text}
headers 3 end
  :method: POST
  :path: /v1
  #62
`, unescape);
}
