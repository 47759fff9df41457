/** The cases of JSON-RPC: whole, byte by byte and at every split, beside another process, in other orders, and with a loss anywhere. */
import { from } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type McpLimits, mcp } from '../../analyzers/mcp.ts';
import type { Event, McpData, StdioEvent } from '../../src/event.ts';
import { nanoseconds } from '../../src/time.ts';
import { type Case, readCases } from '../cases.ts';
import { everySource } from '../helpers/events.ts';
import { type Random, generator } from '../helpers/random.ts';

type Told = McpData & { readonly process: string | null };
type Cuts = (block: number, length: number) => readonly number[];

/** A piece is a call of its own, or part of one call. */
type Pieces = 'calls' | 'parts';

const whole: Cuts = () => [];
const byteByByte: Cuts = (_block, length) => Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
const fives: Cuts = (_block, length) => Array.from({ length: Math.max(0, Math.ceil(length / 5) - 1) }, (_, i) => (i + 1) * 5);
const exit = everySource().find((event) => event.source === 'process' && event.data.event === 'EXIT') as Event;

/** `name`: of the process, and a part of those of its pipes and peers. */
function eventsOf({ blocks }: Case, cuts: Cuts, pieces: Pieces, name = 'p'): Event[] {
  return blocks.flatMap(({ kind, bytes, gap, less, pipe, peer, process: number }, index): Event[] => {
    const process = `${name}${number ?? ''}`;
    const target = `pipe:[${pipe ?? (kind === 'write' ? 1 : 2)}${name === 'p' ? '' : name}]`;
    const peers = typeof peer === 'number' ? [{ pid: peer, comm: 'server', process: `${name}${peer}`, fd: 0, evidence: 'held' as const }] : [];
    const timestamp = nanoseconds(BigInt(index) * 10_000_000n);
    if (kind === 'close') return [{ ...exit, process, timestamp }];
    const edges = [0, ...cuts(index, bytes.length), bytes.length];
    return edges.slice(1).map((end, i): StdioEvent => {
      const start = edges[i] ?? 0;
      const payload = bytes.subarray(start, end);
      const [isFirst, isLast] = [i === 0, end === bytes.length];
      const offset = pieces === 'parts' ? gap + start : isFirst ? gap : 0;
      const total = pieces === 'parts' ? gap + bytes.length + less : offset + payload.length + (isLast ? less : 0);
      return {
        timestamp, source: 'stdio', pid: number ?? 7, comm: 'agent', id: 't', process, session: 's',
        data: {
          fd: 4, role: 'other', target, peer_target: null, peers, direction: kind,
          len: payload.length, total, offset, payload, truncated: false, fault: false, tid: 7,
        },
      };
    });
  });
}

function tell(events: readonly Event[], { options }: Case): Told[] {
  const told: Told[] = [];
  const limits: Partial<McpLimits> = { ...options.limits as Readonly<Record<string, number>> | undefined };
  from(events).pipe(mcp({ nextId: () => 'x', limits })).subscribe((event) => {
    if (event.source === 'mcp') told.push({ ...event.data, process: event.process });
  });
  return told;
}

/** What it says, apart from when and of its number. */
function essence({ kind, id, method, params, result, error }: Told): string {
  return JSON.stringify([kind, id, method, params, result, error]);
}

/** Events of several lists in any order against each other, each list in its own. */
function mixed(lists: readonly (readonly Event[])[], random: Random): Event[] {
  const left = lists.map((list) => [...list]);
  const all: Event[] = [];
  while (left.some((list) => list.length > 0)) {
    const next = left[random(left.length)]?.shift();
    if (next !== undefined) all.push(next);
  }
  return all;
}

const directionOf = (event: Event): string => (event.source === 'stdio' ? event.data.direction : 'end');

describe.each(readCases('jsonrpc').map((one) => ({ ...one, one })))('$name', ({ one }) => {
  const expected = tell(eventsOf(one, whole, 'calls'), one);

  it('tells what it should', () => {
    expect(expected).toMatchObject(one.expected as unknown[]);
  });

  it('tells the same byte by byte and at every split', () => {
    for (const pieces of ['calls', 'parts'] as const) {
      expect(tell(eventsOf(one, byteByByte, pieces), one)).toEqual(expected);
      for (const [index, { bytes }] of one.blocks.entries()) {
        for (let at = 1; at < bytes.length; at++) {
          expect(tell(eventsOf(one, (block) => (block === index ? [at] : []), pieces), one), `block ${index}, byte ${at}`).toEqual(expected);
        }
      }
    }
  });

  it('tells the same beside another process that says the same on pipes of its own', () => {
    const other = eventsOf(one, fives, 'calls', 'q');
    for (let seed = 0; seed < 10; seed++) {
      const told = tell(mixed([eventsOf(one, fives, 'calls'), other], generator(seed)), one);
      for (const process of ['p', 'q']) {
        expect(told.filter((each) => each.process?.startsWith(process)).map(essence).toSorted(), `seed ${seed}`).toEqual(expected.map(essence).toSorted());
      }
    }
  });

  // Without the second request of an id, its reply is one to the first; without what cancels a call, a late reply is one to it.
  if (expected.some(({ reason }) => reason === 'its id was used again' || reason === 'cancelled')) return;

  // Of several pipes, an id alone tells the pair only where nothing is lost or late, and says that it does.
  const isOnePair = new Set(one.blocks.map(({ pipe }) => pipe ?? null)).size === 1;
  const isSure = ({ kind, state, pairing }: Told): boolean => (kind === 'notification' || state === 'complete') && (isOnePair || pairing !== 'inferred');

  it('is right in what is complete, its directions in any order', () => {
    const right = new Set(expected.map(essence));
    const events = eventsOf(one, fives, 'calls');
    for (let seed = 0; seed < 20; seed++) {
      const lists = ['write', 'read', 'end'].map((direction) => events.filter((event) => directionOf(event) === direction));
      for (const each of tell([...mixed(lists.slice(0, 2), generator(seed)), ...lists[2] ?? []], one)) {
        if (each.kind === 'call' && isSure(each)) expect(right, `seed ${seed}`).toContain(essence(each));
      }
    }
  });

  it('is right in what is complete, with a gap anywhere', () => {
    const right = new Set(expected.map(essence));
    const events = eventsOf(one, fives, 'parts');
    for (let seed = 0; seed < 40; seed++) {
      const random = generator(seed);
      const start = random(events.length);
      const count = 1 + random(6);
      for (const each of tell(events.filter((event, at) => at < start || at >= start + count || event.source !== 'stdio'), one)) {
        if (isSure(each)) expect(right, `seed ${seed}`).toContain(essence(each));
      }
    }
  });
});
