import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, createApi } from '../../ui/src/lib/api.ts';
import { type LiveState, type Socket, openLive, parseFrame, retryDelayMs } from '../../ui/src/lib/live.ts';
import { addGap, setGap } from '../../ui/src/lib/gaps.ts';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

function start() {
  const sockets: (Socket & { closed: boolean })[] = [];
  const states: LiveState[] = [];
  const frames: string[] = [];
  const client = openLive({
    url: 'ws://x/',
    connect: () => {
      const socket = { onopen: null, onmessage: null, onclose: null, closed: false, close() { this.closed = true; } };
      sockets.push(socket);
      return socket;
    },
    onFrame: (frame) => frames.push(frame.kind),
    onState: (state) => states.push(state),
  });
  const say = (frame: unknown) => sockets.at(-1)?.onmessage?.({ data: JSON.stringify(frame) });
  return { client, sockets, states, frames, say };
}

describe('live client', () => {
  it('is open once the hub said hello, and hands frames on', () => {
    const { states, frames, say, client } = start();
    say({ kind: 'hello', hub: 'h', now: '1' });
    say({ kind: 'events', events: [], dropped: 0 });
    say({ kind: 'who knows' });
    expect(states).toEqual(['connecting', 'open']);
    expect(frames).toEqual(['hello', 'events']);
    client.close();
  });

  it('comes back after a broken connection, and not after close', async () => {
    const { states, sockets, client, say } = start();
    say({ kind: 'hello', hub: 'h', now: '1' });
    sockets[0]?.onclose?.();
    expect(states.at(-1)).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1000);
    expect(sockets).toHaveLength(2);
    client.close();
    client.close();
    expect(sockets[1]?.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(2);
  });

  it('gives up on a connection that is silent', async () => {
    const { sockets, client } = start();
    await vi.advanceTimersByTimeAsync(45_000);
    expect(sockets[0]?.closed).toBe(true);
    expect(sockets.length).toBeGreaterThan(1);
    client.close();
  });

  it('waits longer after each failure, up to ten seconds', () => {
    const delays = [1, 2, 3, 6, 50].map((failures) => retryDelayMs(failures, 1));
    expect(delays).toEqual([400, 800, 1600, 10_000, 10_000]);
  });

  it('takes no frame that is not one', () => {
    expect([parseFrame('{'), parseFrame(new Uint8Array()), parseFrame('{"kind":"x"}'), parseFrame('null')].every((frame) => frame === null)).toBe(true);
  });
});

describe('gaps', () => {
  it('are bounded, filled ones going first', () => {
    let gaps = addGap([], { id: 0, from: 0, to: 1, dropped: 1, state: 'fetching' });
    for (let id = 1; id < 300; id += 1) gaps = setGap(addGap(gaps, { id, from: id, to: id + 1, dropped: null, state: 'fetching' }), id, 'filled');
    expect(gaps).toHaveLength(200);
    expect(gaps[0]?.id).toBe(0);
  });
});

describe('api', () => {
  const answer = (status: number, body: string): typeof fetch => async () => new Response(body, { status });
  const signal = new AbortController().signal;

  it('sends the token as bearer and the query as parameters', async () => {
    let seen: { url: string; authorization: unknown } | null = null;
    const api = createApi({ base: 'http://h/page/', token: 'k', fetch: async (input, init) => {
      seen = { url: String(input), authorization: new Headers(init?.headers).get('authorization') };
      return new Response('{"items":[],"next":null}');
    } });
    await api.events({ session: 's/1', limit: 5 }, signal);
    expect(seen).toEqual({ url: 'http://h/page/api/v1/events?session=s%2F1&limit=5', authorization: 'Bearer k' });
    expect(api.liveUrl('s')).toBe('ws://h/page/api/v1/live?token=k&session=s');
  });

  it('turns problem documents, other answers and no answer into errors', async () => {
    const problem = JSON.stringify({ type: 'about:blank', title: 'Unauthorized', status: 401, detail: 'the token is wrong', code: 'UNAUTHORIZED' });
    const failure = (send: typeof fetch) => createApi({ base: 'http://h/', token: null, fetch: send }).info(signal).catch((error: unknown) => error);
    expect(await failure(answer(401, problem))).toMatchObject({ status: 401, code: 'UNAUTHORIZED', message: 'the token is wrong' });
    expect(await failure(answer(502, '<html>'))).toMatchObject({ status: 502 });
    expect(await failure(async () => { throw new TypeError('fetch failed'); })).toBeInstanceOf(ApiError);
  });
});
