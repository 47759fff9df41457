/** A client of several servers, which numbers its requests from 0 for each: no pair that is told as proven is wrong, whatever is lost or late. */
import { from } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { createMcpCounters, mcp } from '../../analyzers/mcp.ts';
import type { Event, McpData } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { chunk, eventOf } from '../helpers/events.ts';
import { type Random, generator } from '../helpers/random.ts';

const SERVERS = 3;
const CALLS = 8;

type Known = 'every peer' | 'some peers' | 'no peer';

function said(direction: 'read' | 'write', pipe: number, peer: number | null, message: object): Event {
  const payload = Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const peers = peer === null ? [] : [{ pid: peer, process: `server-${peer}`, comm: 'server', fd: 0, evidence: 'held' as const }];
  return { ...eventOf('stdio', { ...chunk(payload), fd: 5, role: 'other', target: `pipe:[${pipe}]`, peer_target: `pipe:[${pipe}]`, peers, direction }), process: 'client' };
}

/** What the client writes and reads, in an order in which it may: servers answer when and in which order they like, and ask back. */
function conversation(random: Random, known: Known): Event[] {
  const events: Event[] = [];
  const servers = Array.from({ length: SERVERS }, (_, server) => ({ server, asked: 0, open: [] as number[], theirs: 0, owed: [] as number[] }));
  const peerOf = (server: number): number | null => (known === 'every peer' || (known === 'some peers' && random(2) === 0) ? server : null);
  for (let step = 0; step < 400; step++) {
    const one = servers[random(SERVERS)];
    if (one === undefined) continue;
    const { server } = one;
    const say = (direction: 'read' | 'write', message: object): void => void events.push(said(direction, 10 * server + (direction === 'write' ? 1 : 2), peerOf(server), message));
    const what = random(4);
    const id = one.open[random(one.open.length || 1)];
    const owed = one.owed[0];
    if (what === 0 && one.asked < CALLS) {
      say('write', { id: one.asked, method: `m ${server} ${one.asked}` });
      one.open.push(one.asked++);
    } else if (what === 1 && id !== undefined) {
      one.open = one.open.filter((each) => each !== id);
      say('read', { id, result: `m ${server} ${id}` });
    } else if (what === 2 && one.theirs < CALLS) {
      say('read', { id: one.theirs, method: `t ${server} ${one.theirs}` });
      one.owed.push(one.theirs++);
    } else if (what === 3 && owed !== undefined) {
      one.owed.shift();
      say('write', { id: owed, result: `t ${server} ${owed}` });
    }
  }
  return events;
}

function told(events: readonly Event[], mcpPipesPerProcess: number = LIMITS.mcpPipesPerProcess) {
  const found: McpData[] = [];
  const counters = createMcpCounters();
  from(events).pipe(mcp({ nextId: () => 'x', counters, limits: { mcpPipesPerProcess } })).subscribe((event) => {
    if (event.source === 'mcp') found.push(event.data);
  });
  return { found, counters, complete: found.filter(({ kind, state }) => kind === 'call' && state === 'complete') };
}

function expectRight(calls: readonly McpData[], seed: number): void {
  for (const { method, result } of calls) expect(result, `seed ${seed}`).toBe(JSON.stringify(method));
}

describe('a client of several servers', () => {
  it.each(['every peer', 'some peers', 'no peer'] as const)('has no wrong pair where nothing is lost: %s is known', (known) => {
    let pairs = 0;
    for (let seed = 0; seed < 100; seed++) {
      const { found, complete } = told(conversation(generator(seed), known));
      expectRight(complete, seed);
      pairs += complete.length;
      if (known !== 'every peer') continue;
      expect(found.filter(({ kind }) => kind === 'reply'), `seed ${seed}`).toEqual([]);
      // A pipe on which nothing was heard yet proves nothing of the other.
      expect(complete.filter(({ pairing }) => pairing === 'proven').length, `seed ${seed}`).toBe(complete.length);
    }
    expect(pairs).toBeGreaterThan(1000);
  });

  it.each(['every peer', 'some peers', 'no peer'] as const)('has no wrong pair that is told as proven, whatever is lost: %s is known', (known) => {
    for (let seed = 0; seed < 100; seed++) {
      const random = generator(seed);
      const left = conversation(random, known).filter(() => random(5) > 0);
      expectRight(told(left).complete.filter(({ pairing }) => pairing === 'proven'), seed);
    }
  });

  it('tells each request and each reply once, as a pair or with the reason why not', () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = generator(seed);
      const left = conversation(random, 'some peers').filter(() => random(6) > 0);
      const texts = left.map((event) => JSON.parse(Buffer.from((event.data as { payload: Uint8Array }).payload).toString()) as { method?: string });
      const { found } = told(left);
      expect(found.filter(({ kind }) => kind === 'call').length, `seed ${seed}`).toBe(texts.filter(({ method }) => method !== undefined).length);
      expect(found.filter(({ result }) => result !== null).length, `seed ${seed}`).toBe(texts.filter(({ method }) => method === undefined).length);
      for (const { state, reason } of found) expect(reason === null).toBe(state === 'complete');
    }
  });

  it('is bounded in pipes, and right beyond the bound', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { counters, complete } = told(conversation(generator(seed), 'every peer'), 2);
      expect(counters.get('pipes_forgotten')).toBeGreaterThan(0);
      expectRight(complete.filter(({ pairing }) => pairing === 'proven'), seed);
    }
  });
});
