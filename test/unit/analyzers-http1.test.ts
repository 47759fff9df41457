/**
 * Properties of HTTP/1 on random traffic whose truth is known: every request carries an id that its response
 * echoes. The two directions come in any order in which no answer is before its request; then records are lost.
 * What is told as complete is right, whatever bodies look like, and the connection is in step again soon.
 * A client that pipelines sends all its requests at once.
 */
import { describe, expect, it } from 'vitest';
import type { Direction, TlsEvent } from '../../src/event.ts';
import { nanoseconds } from '../../src/time.ts';
import { analyze, chunk } from '../cases.ts';
import { expectBeginning, randomlyCoded } from '../helpers/coded.ts';
import { type Random, generator } from '../helpers/random.ts';

type Derived = Readonly<Record<string, unknown>>;

interface Sent {
  readonly id: number;
  readonly method: 'GET' | 'POST' | 'HEAD';
  readonly requestBody: string;
  readonly responseBody: string;
}

interface Piece {
  readonly event: TlsEvent;
  readonly direction: Direction;
  readonly id: number;
  /** How many requests must be there before it. */
  readonly after: number;
}

/** A body may hold what looks like the start of a message, at the start of a line. */
const LINES = ['word ', '{"a":1}', '\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '\nGET /r/999 HTTP/1.1\r\nHost: a\r\n\r\n', '0\r\n\r\n', 'é'];
const EXCHANGES = 8;
/** Between two pieces: after three of them nobody waits for one that is missing. */
const STEP_NS = 40_000_000n;

function text(random: Random, first: string): string {
  return `${first};${Array.from({ length: random(10) }, () => LINES[random(LINES.length)]).join('')}`;
}

/** The fields that frame the body, and the body as it is framed. */
function framed(random: Random, body: string): Buffer {
  const coded = random(3) === 0 ? randomlyCoded(random, body) : null;
  const coding = coded === null ? '' : `Content-Encoding: ${coded.name}\r\n`;
  const bytes = coded?.bytes ?? Buffer.from(body);
  if (random(2) === 0) return Buffer.concat([Buffer.from(`${coding}Content-Length: ${bytes.length}\r\n\r\n`), bytes]);
  const parts: Buffer[] = [Buffer.from(`${coding}Transfer-Encoding: chunked\r\n\r\n`)];
  for (let at = 0; at < bytes.length;) {
    const size = Math.min(bytes.length - at, 1 + random(40));
    parts.push(Buffer.from(`${size.toString(16)}${random(5) === 0 ? ';x="y"' : ''}\r\n`), bytes.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${random(3) === 0 ? 'X-End: 1\r\n' : ''}\r\n`)]);
}

function counted(body: string): Buffer {
  return Buffer.from(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function requestOf(random: Random, { id, method, requestBody }: Sent, { pipelined }: Plan): Buffer {
  const head = `${method} /r/${id} HTTP/1.1\r\nHost: a\r\nX-Id: ${id}\r\n`;
  return method === 'POST' ? Buffer.concat([Buffer.from(head), pipelined ? counted(requestBody) : framed(random, requestBody)]) : Buffer.from(`${head}\r\n`);
}

function responseOf(random: Random, { id, method, responseBody }: Sent): Buffer {
  const interim = random(5) === 0 ? `HTTP/1.1 103 Early Hints\r\nX-Id: ${id}\r\n\r\n` : '';
  if (method === 'HEAD') return Buffer.from(`${interim}HTTP/1.1 200 OK\r\nX-Id: ${id}\r\nContent-Length: 500\r\n\r\n`);
  return Buffer.concat([Buffer.from(`${interim}HTTP/1.1 200 OK\r\nX-Id: ${id}\r\n`), framed(random, responseBody)]);
}

function sentBy(random: Random): Sent[] {
  return Array.from({ length: EXCHANGES }, (_, id) => ({
    id, method: (['GET', 'POST', 'POST', 'HEAD'] as const)[random(4)] ?? 'GET',
    requestBody: text(random, `ask=${id}`), responseBody: text(random, `id=${id}`),
  }));
}

interface Plan {
  readonly pipelined: boolean;
}

/** Each message is one call of the program, delivered in pieces. */
function pieces(random: Random, sent: readonly Sent[], plan: Plan): Record<Direction, Piece[]> {
  const { pipelined } = plan;
  const lanes: Record<Direction, Piece[]> = { write: [], read: [] };
  const next: Record<Direction, number> = { write: 0, read: 0 };
  const send = (direction: Direction, id: number, bytes: Buffer): void => {
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(bytes.length - at, 1 + random(90));
      // Requests wait for the answers to all before them, unless pipelined; answers for their whole request.
      const after = pipelined ? (direction === 'read' ? EXCHANGES : 0) : direction === 'read' ? id + 1 : id;
      lanes[direction].push({
        event: chunk({ direction, bytes: bytes.subarray(at, at + size), position: next[direction] + at, total: bytes.length, offset: at }), direction, id, after,
      });
      at += size;
    }
    next[direction] += bytes.length;
  };
  for (const one of sent) {
    send('write', one.id, requestOf(random, one, plan));
    send('read', one.id, responseOf(random, one));
  }
  return lanes;
}

/** Both directions in a random order, each in its own. */
function interleaved(random: Random, lanes: Readonly<Record<Direction, readonly Piece[]>>): Piece[] {
  const left: Record<Direction, Piece[]> = { read: [...lanes.read], write: [...lanes.write] };
  const mixed: Piece[] = [];
  const isDue = (piece: Piece | undefined): piece is Piece => {
    if (piece === undefined) return false;
    const other = left[piece.direction === 'read' ? 'write' : 'read'][0];
    return other === undefined || other.id >= piece.after;
  };
  while (left.read.length + left.write.length > 0) {
    const first: Direction = random(2) === 0 ? 'read' : 'write';
    const direction = isDue(left[first][0]) ? first : first === 'read' ? 'write' : 'read';
    mixed.push(left[direction].shift() as Piece);
  }
  return mixed;
}

function exchanges(all: readonly Piece[]): Derived[] {
  const events = all.map(({ event }, index) => ({ ...event, timestamp: nanoseconds(BigInt(index) * STEP_NS) }));
  return analyze(events).derived.filter((one) => one['source'] === 'http');
}

function expectRight(one: Derived, sent: readonly Sent[], where: string): void {
  const id = Number(/^\/r\/(\d+)$/.exec(String(one['path']))?.[1] ?? Number.NaN);
  const truth = sent[id];
  expect(truth, `${where}: ${String(one['path'])}`).toBeDefined();
  if (truth === undefined) return;
  expect(one, where).toMatchObject({
    method: truth.method, request_headers: { 'x-id': [String(id)] }, response_headers: { 'x-id': [String(id)] },
    request_body: truth.method === 'POST' ? truth.requestBody : null, response_body: truth.method === 'HEAD' ? null : truth.responseBody,
  });
  for (const { headers } of one['interim'] as { headers: Record<string, string[]> }[]) expect(headers['x-id'], where).toEqual([String(id)]);
}

/** Whose the two bodies are is told by the ids of their heads, however little of the exchange there is. Returns how many are cut. */
function expectBeginnings(one: Derived, sent: readonly Sent[], where: string): number {
  return (['request', 'response'] as const).filter((part) => {
    const [id] = (one[`${part}_headers`] as Record<string, string[]>)['x-id'] ?? [];
    const truth = id === undefined ? undefined : sent[Number(id)]?.[`${part}Body`];
    return truth !== undefined && expectBeginning(one, part, { truth, where });
  }).length;
}

/** However little it says of a request and its response, it is of one number. */
function expectOneId(one: Derived, where: string): void {
  const ids = [
    /^\/r\/(\d+)$/.exec(String(one['path']))?.[1], /^ask=(\d+);/.exec(String(one['request_body']))?.[1], /^id=(\d+);/.exec(String(one['response_body']))?.[1],
    ...(one['response_headers'] as Record<string, string[]>)['x-id'] ?? [],
  ].filter((id) => id !== undefined);
  expect(new Set(ids).size, `${where}: ${ids.join()}`).toBeLessThan(2);
}

const seeds = Array.from({ length: 150 }, (_, seed) => seed);
const plans: readonly Plan[] = [{ pipelined: false }, { pipelined: true }];

describe.each(plans)('random traffic of HTTP/1, $pipelined pipelined', { timeout: 240_000 }, (plan) => {
  it('interleaved at random gives every exchange, whole and right', () => {
    for (const seed of seeds) {
      const random = generator(seed);
      const sent = sentBy(random);
      const found = exchanges(interleaved(random, pieces(random, sent, plan)));
      expect(found.map((one) => [one['path'], one['state']]), `seed ${seed}`).toEqual(sent.map(({ id }) => [`/r/${id}`, 'complete']));
      for (const one of found) expectRight(one, sent, `seed ${seed}`);
    }
  });

  it('with a gap anywhere tells nothing wrong as complete', () => {
    let complete = 0;
    let cut = 0;
    for (const seed of seeds) {
      const random = generator(seed);
      const sent = sentBy(random);
      const lanes = pieces(random, sent, plan);
      const all = interleaved(random, lanes);
      for (let round = 0; round < 4; round++) {
        const lane = lanes[random(2) === 0 ? 'read' : 'write'];
        // Where the very first bytes are missing, nothing tells a connection that pipelines from one that was joined midway.
        const from = plan.pipelined ? 1 + random(lane.length - 1) : random(lane.length);
        const lost = new Set(lane.slice(from, from + 1 + random(5)));
        const touched = Array.from(lost, ({ id }) => id);
        const found = exchanges(all.filter((piece) => !lost.has(piece)));
        const where = `seed ${seed}, round ${round}`;
        for (const one of found) cut += expectBeginnings(one, sent, where);
        if (!plan.pipelined) for (const one of found) expectOneId(one, where);
        for (const one of found.filter(({ state }) => state === 'complete')) {
          expectRight(one, sent, where);
          complete++;
        }
        if (plan.pipelined) continue;
        const whole = new Set(found.filter(({ state }) => state === 'complete').map(({ path }) => path));
        for (const { id } of sent) {
          if (id < Math.min(...touched) || id > Math.max(...touched) + 1) expect(whole, `${where}: ${id} of ${touched.join()}`).toContain(`/r/${id}`);
        }
      }
    }
    expect(complete).toBeGreaterThan(seeds.length * 4);
    expect(cut).toBeGreaterThan(seeds.length / 5);
  });

  it('with many lost records tells nothing wrong as complete', () => {
    for (const seed of seeds) {
      const random = generator(seed);
      const sent = sentBy(random);
      const all = interleaved(random, pieces(random, sent, plan));
      // A client that sends one request at a time may be joined anywhere.
      const from = plan.pipelined ? 0 : random(all.length / 2);
      const kept = all.filter((piece, index) => (index >= from && random(12) > 0) || (plan.pipelined && (index === 0 || piece.id === 0)));
      for (const one of exchanges(kept)) {
        expectBeginnings(one, sent, `seed ${seed}`);
        if (!plan.pipelined) expectOneId(one, `seed ${seed}`);
        if (one['state'] === 'complete') expectRight(one, sent, `seed ${seed}`);
      }
    }
  });
});
