/**
 * One secret of each known kind, and events that carry it in every place where
 * programs put one. None was ever given out by anybody: each is put together here.
 */
import { deflateRawSync, gzipSync } from 'node:zlib';
import type { Direction, Event } from '../../src/event.ts';
import { unescape } from '../cases.ts';
import { framesOf } from '../frames.ts';
import { frameOf } from '../messages.ts';
import { ENDPOINT, chunk, eventOf, everySource } from './events.ts';

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

/** What stands before a secret and ends with a letter or a digit, in JSON or as it is. */
export const TEXT_ESCAPES: readonly string[] = ['\n', '\t', '\r', '\b', '\f', '"', '/', '\u001b[31m', '\u001b[1;31m', '\u001b[K', '\u001b[m'];
/** The same in a URL or a form. */
export const PERCENT_ESCAPES: readonly string[] = ['%22', '%3D', '%3d', '%20', '%0A', '%3A', '%1B%5B31m'];

/** With a name, where it is not known by its shape. */
export function named({ kind, text }: Secret): string {
  return kind === 'named' ? `password=${text}` : text;
}

/** Lines of a key, and of a key in the JSON of a message. */
export const KEY_BLOCK = `-----BEGIN PRIVATE KEY-----\nMIIE${RUN}${RUN}\n${RUN}==\n-----END PRIVATE KEY-----\n`;
export const KEY_BLOCK_PARTS: readonly string[] = [`MIIE${RUN}${RUN}`, `${RUN}==`];

/** A user's password in the places of one, and as programs send it. */
const PASSWORD = `pw-${RUN}`;
const BASIC = Buffer.from(`me:${PASSWORD}`).toString('base64');
/** What a server and a browser know a session by. */
const COOKIE = `c00kie${RUN}`;
/** Secrets that are told by another name in each place. */
export const OTHER_PARTS: readonly string[] = [PASSWORD, BASIC, COOKIE];

const EMPTY: Buffer = Buffer.alloc(0);
const OK = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

interface Carrier {
  /** Of its process. */
  readonly pid: number;
  /** Of its traffic. */
  readonly source?: 'net';
  next(): number;
}

/** All events of one process, which uses no other secret. */
export function eventsWith(secret: Secret, pid: number): readonly Event[] {
  const { text } = secret;
  let sequence = pid * 1000;
  const carrier: Carrier = { pid, next: () => ++sequence };
  const result = TEXT_ESCAPES.map((escape) => `${escape}${named(secret)}`).join('\n');
  const json = JSON.stringify({ model: 'm', api_key: text, messages: [{ role: 'user', content: `API_KEY=${text} run` }, { role: 'tool', content: result, input: JSON.stringify({ result }) }] });
  const parameters = PERCENT_ESCAPES.map((escape, index) => `p${index}=a${escape}${named(secret)}`).join('&');
  return [
    ...exchange(carrier, 'header', request({ fields: `x-api-key: ${text}` })),
    ...exchange(carrier, 'bearer', request({ fields: `Authorization: Bearer ${text}` })),
    ...exchange(carrier, 'query', request({ target: `/v1?access_token=${text}&x=1&${parameters}` })),
    ...exchange(carrier, 'json', request({ body: Buffer.from(json) })),
    ...exchange(carrier, 'form', request({ body: Buffer.from(`grant_type=password&password=${text}&scope=a&${parameters}`) })),
    ...exchange(carrier, 'gzip', request({ fields: 'Content-Encoding: gzip', body: gzipSync(json) })),
    ...exchange(carrier, 'chunked', chunkedRequest(json, json.indexOf(text) + 5)),
    ...exchange(carrier, 'sse', request({}), sseResponse(JSON.stringify({ text: `export API_KEY=${text} now`, result }))),
    ...exchange(carrier, 'http2', http2Requests(text), EMPTY),
    ...exchange(carrier, 'grpc', ...grpcCall(text)),
    ...cutExchange(carrier, json, text),
    ...websocket(carrier, 'websocket', [
      ['write', Buffer.concat([frameOf(0x01, Buffer.from(json.slice(0, json.indexOf(text) + 4)), KEYED), frameOf(0x80, Buffer.from(json.slice(json.indexOf(text) + 4)), KEYED)])],
      ['write', frameOf(0x89, Buffer.from(`token=${text}`), KEYED)], ['read', frameOf(0x82, Buffer.from(json), KEYLESS)],
      ['read', frameOf(0x88, Buffer.concat([Buffer.of(0x03, 0xe8), Buffer.from(`token=${text}`)]), KEYLESS)],
    ]),
    ...websocket(carrier, 'deflate', [['read', frameOf(0xc1, deflateRawSync(json, { finishFlush: 2 }).subarray(0, -4), KEYLESS)]]),
    ...exchange({ ...carrier, source: 'net' }, 'plain', request({ fields: `X-Api-Key: ${text}` }), sseResponse(`{"text":"export API_KEY=${text} now"}`)),
    ...plain(carrier, text), ...escaped(carrier, result, parameters),
  ];
}

/** What is no traffic: a command line, a shell's line, environment, a tool's request over two writes. */
function plain(carrier: Carrier, text: string): Event[] {
  const call = `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/x', params: { token: text } })}\n`;
  const half = call.indexOf(text) + 5;
  return [
    command(carrier, ['agent', '--api-key', text, `--token=${text}`, '-H', `X-Api-Key: ${text}`, `https://h.test/?key=${text}`]),
    of(carrier, eventOf('readline', { line: `export SERVICE_TOKEN=${text}`, truncated: false })),
    says(carrier, `HOME=/root\nSERVICE_API_KEY=${text}\nPATH=/bin\n`),
    says(carrier, call, 'pipe:[78]'),
    says(carrier, call.slice(0, half), 'pipe:[79]'),
    says(carrier, `SERVICE_API_KEY=${text.slice(0, 3)}`, '/dev/pts/5'),
    says(carrier, call.slice(half), 'pipe:[79]'),
    says(carrier, `${text.slice(3)}\r\n`, '/dev/pts/5'),
    of(carrier, eventOf('file', {
      event: 'SYMLINK', path: `/tmp/token=${text}`, target: `password=${text}`, error: null, flags: [], created: null, mode: null, length: null, uid: null, gid: null, count: 1,
      span_ms: 0, truncated: false,
    })),
  ];
}

/** The same where it stands as programs print it, write it and are given it. */
function escaped(carrier: Carrier, result: string, parameters: string): Event[] {
  const json = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { result } });
  return [
    says(carrier, `${result}\n`), says(carrier, `${json}\n`, 'pipe:[80]'), command(carrier, ['curl', '-d', json, `https://h.test/?${parameters}`]),
    of(carrier, eventOf('readline', { line: `curl -d '${json}' 'https://h.test/?${parameters}'`, truncated: false })),
  ];
}

/** A key block in the JSON of a body, in a stream and in what a program prints. */
export function eventsWithKeyBlock(pid: number): readonly Event[] {
  let sequence = pid * 1000;
  const carrier: Carrier = { pid, next: () => ++sequence };
  return [
    ...exchange(carrier, 'json', request({ body: Buffer.from(JSON.stringify({ pem: KEY_BLOCK })) })),
    ...exchange(carrier, 'sse', request({}), sseResponse(JSON.stringify({ text: KEY_BLOCK }))),
    says(carrier, KEY_BLOCK),
  ];
}

/** Cookies and a password, which are named as they stand. */
export function eventsWithOthers(pid: number): readonly Event[] {
  let sequence = pid * 1000;
  const carrier: Carrier = { pid, next: () => ++sequence };
  const cookies = `theme=dark; sid=${COOKIE}`;
  const setCookie = Buffer.from(`HTTP/1.1 200 OK\r\nSet-Cookie: sid=${COOKIE}; Path=/; HttpOnly\r\nSet-Cookie: b=${COOKIE}\r\nContent-Length: 2\r\n\r\nok`);
  return [
    ...exchange(carrier, 'cookie', request({ fields: `Cookie: ${cookies}` }), setCookie),
    ...exchange(carrier, 'cookie-http2', http2Cookies(), EMPTY),
    ...exchange(carrier, 'basic', request({ fields: `Authorization: Basic ${BASIC}\r\nProxy-Authorization: Basic ${BASIC}` })),
    ...exchange(carrier, 'referer', request({ fields: `Referer: https://me:${PASSWORD}@h.test/` })),
    ...exchange({ ...carrier, source: 'net' }, 'plain-basic', request({ fields: `Authorization: Basic ${BASIC}` }), setCookie),
    ...websocket(carrier, 'websocket-cookie', [['read', frameOf(0x81, Buffer.from(JSON.stringify({ headers: { Cookie: cookies, Authorization: `Basic ${BASIC}` } })), KEYLESS)]], `Cookie: ${cookies}\r\n`),
    command(carrier, ['curl', '-u', `me:${PASSWORD}`, '-H', `Cookie: ${cookies}`, '-H', `Authorization: Basic ${BASIC}`, `https://me:${PASSWORD}@h.test/`]),
    command(carrier, ['curl', '-b', `sid=${COOKIE}; theme=dark`, '--cookie', cookies, '--user', `me:${PASSWORD}`]),
    says(carrier, `> Authorization: Basic ${BASIC}\r\n< Set-Cookie: sid=${COOKIE}; Path=/\r\n> Cookie: ${cookies}\r\nhttps://me:${PASSWORD}@h.test/\n`),
    of(carrier, eventOf('readline', { line: `curl -u me:${PASSWORD} --proxy-user "me:${PASSWORD}" --cookie 'sid=${COOKIE}' https://me:${PASSWORD}@h.test`, truncated: false })),
  ];
}

function command(carrier: Carrier, argv: readonly string[]): Event {
  const exec = everySource().find((event) => event.source === 'process' && event.data.event === 'EXEC') as Event;
  return of(carrier, { ...exec, data: { ...exec.data, argv } } as Event);
}

function says(carrier: Carrier, payload: string, target = 'pipe:[77]'): Event {
  return of(carrier, eventOf('stdio', { fd: 1, role: 'stdout', target, peer_target: target, peers: [], ...chunk(Buffer.from(payload)) } as const));
}

function of({ pid, next }: Carrier, event: Event): Event {
  const sequence = next();
  return { ...event, pid, process: `h.b.1.${pid}`, session: `h.b.1.${pid}`, id: `h.b.c.${sequence}`, timestamp: event.timestamp + BigInt(sequence) } as Event;
}

type Piece = readonly [direction: Direction, bytes: Buffer];

function exchange(carrier: Carrier, place: string, sent: Buffer, received: Buffer = OK): Event[] {
  return connection(carrier, place, [['write', sent], ['read', received]]);
}

/** One call of the program for each piece. */
function connection(carrier: Carrier, place: string, pieces: readonly Piece[]): Event[] {
  const { pid, source = 'tls' } = carrier;
  const id = `c${pid}-${place}`;
  const next = { read: 0, write: 0 };
  const parts = pieces.filter(([, bytes]) => bytes.length > 0).map(([direction, bytes]) => {
    const data = { event: 'DATA', connection: id, position: next[direction], endpoint: ENDPOINT, ...chunk(bytes), direction } as const;
    next[direction] += bytes.length;
    return of(carrier, source === 'net' ? eventOf('net', data) : eventOf('tls', { ...data, library: 'openssl', server_name: null }));
  });
  return [...parts, of(carrier, source === 'net' ? eventOf('net', { event: 'END', connection: id }) : eventOf('tls', { event: 'CLOSE', connection: id }))];
}

/** Head and body are written in calls that cut the secret in two, and a stream is read in such. */
function cutExchange(carrier: Carrier, json: string, text: string): Event[] {
  const cut = (bytes: Buffer): Buffer[] => {
    const at = bytes.indexOf(text) + 6;
    const again = bytes.indexOf(text, at) < 0 ? bytes.length : bytes.indexOf(text, at) + 6;
    return [bytes.subarray(0, at), bytes.subarray(at, again), bytes.subarray(again)];
  };
  return connection(carrier, 'cut', [
    ...cut(request({ fields: `X-Api-Key: ${text}`, body: Buffer.from(json) })).map((bytes): Piece => ['write', bytes]),
    ...cut(sseResponse(json)).map((bytes): Piece => ['read', bytes]),
  ]);
}

const KEYED = { key: Buffer.from('01020304', 'hex') };
const KEYLESS = { key: null };

function websocket(carrier: Carrier, place: string, pieces: readonly Piece[], fields = ''): Event[] {
  const extension = place === 'deflate' ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : '';
  return connection(carrier, place, [
    ['write', Buffer.from(`GET /live HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${extension}${fields}\r\n`)],
    ['read', Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${extension}\r\n`)],
    ...pieces,
  ]);
}

function request({ target = '/v1', fields = 'Accept: */*', body = EMPTY }: { readonly target?: string; readonly fields?: string; readonly body?: Buffer }): Buffer {
  return Buffer.concat([Buffer.from(`POST ${target} HTTP/1.1\r\nHost: api.test\r\n${fields}\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
}

/** In two chunks. */
function chunkedRequest(body: string, cut: number): Buffer {
  const chunks = [body.slice(0, cut), body.slice(cut)].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return Buffer.from(`POST /v1 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`);
}

function sseResponse(data: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ${data}\n\n`);
}

/** Metadata of a call, of its answer, and what its status says. */
function grpcCall(text: string): [sent: Buffer, received: Buffer] {
  const message = 'data 1 | \\x00\\x00\\x00\\x00\\x02\\x08\\x01';
  const sent = framesOf(`preface
settings
headers 1
  :method: POST
  :path: /api.Service/Call
  content-type: application/grpc
  +authorization: Bearer ${text}
  ~x-api-key: ${text}
${message}
data 1 end |
`, unescape);
  const received = framesOf(`settings
headers 1
  :status: 200
  content-type: application/grpc
  +~x-next-token: ${text}
${message}
headers 1 end
  grpc-status: 16
  grpc-message: not known: api_key=${text}
`, unescape);
  return [sent, received];
}

/** As browsers send them, in crumbs. */
function http2Cookies(): Buffer {
  return framesOf(`preface
settings
headers 1 end
  :method: GET
  :path: /v1
  +cookie: theme=dark
  ~cookie: sid=${COOKIE}
  !cookie: b=${COOKIE}
`, unescape);
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
