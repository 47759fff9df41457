/** Orders in which the chunks of a case may as well have come, and losses of some of them. */
import type { TlsEvent } from '../../src/event.ts';
import { type Case, chunksOf } from '../cases.ts';
import type { Random } from './random.ts';

type Derived = Readonly<Record<string, unknown>>;

/** A few bytes each. */
const PART_BYTES = 5;

export function smallChunks(one: Case): TlsEvent[] {
  return chunksOf(one.blocks, (_block, length) => Array.from({ length: Math.max(0, Math.ceil(length / PART_BYTES) - 1) }, (_, i) => (i + 1) * PART_BYTES));
}

/** The two directions in any order against each other, each in its own. */
export function interleaved(all: readonly TlsEvent[], random: Random): TlsEvent[] {
  return merged(all, random, () => true);
}

/**
 * The same, but what answers does not come before anything that it came after. After an upgrade neither
 * direction waits for the other, and nothing comes before its handshake is over.
 */
export function interleavedAnswers(all: readonly TlsEvent[], random: Random, isUpgrade: boolean): TlsEvent[] {
  const asks = all.map(directionOf).find((direction) => direction !== null);
  const answered = all.find((event) => directionOf(event) !== null && directionOf(event) !== asks)?.timestamp ?? 0n;
  if (isUpgrade) return [...all.filter(({ timestamp }) => timestamp <= answered), ...interleaved(all.filter(({ timestamp }) => timestamp > answered), random)];
  const places = new Map(all.map((event, place) => [event, place]));
  const placeOf = (event: TlsEvent | undefined): number => (event === undefined ? Number.POSITIVE_INFINITY : places.get(event) ?? 0);
  return merged(all, random, (event, other) => directionOf(event) === asks || placeOf(other) > placeOf(event));
}

function merged(all: readonly TlsEvent[], random: Random, mayCome: (event: TlsEvent, other: TlsEvent | undefined) => boolean): TlsEvent[] {
  const lanes = (['read', 'write'] as const).map((direction) => all.filter((event) => directionOf(event) === direction));
  const mixed: TlsEvent[] = [];
  while (lanes.some((lane) => lane.length > 0)) {
    const at = random(2);
    const [lane, other] = [lanes[at], lanes[1 - at]];
    const next = lane?.[0];
    if (lane === undefined || other === undefined || next === undefined || !mayCome(next, other[0])) continue;
    lane.shift();
    mixed.push(next);
  }
  return [...mixed, ...all.filter((event) => directionOf(event) === null)];
}

/** Without some chunks that follow each other. That the last bytes of a direction are missing nobody can tell: they stay. */
export function withGap(all: readonly TlsEvent[], random: Random): TlsEvent[] {
  const last = new Set((['read', 'write'] as const).map((direction) => all.findLast((event) => directionOf(event) === direction)));
  const from = random(all.length);
  const dropped = new Set(all.slice(from, from + 1 + random(6)).filter((event) => directionOf(event) !== null && !last.has(event)));
  return all.filter((event) => !dropped.has(event));
}

function directionOf({ data }: TlsEvent): 'read' | 'write' | null {
  return data.event === 'DATA' ? data.direction : null;
}

/** What an exchange or a message says, apart from when and of its number. */
export function essence(one: Derived): string {
  return JSON.stringify(ESSENCE.map((name) => one[name]));
}

const ESSENCE = [
  'method', 'path', 'status', 'request_body', 'response_body', 'request_header_list', 'response_header_list', 'response_trailers',
  'opcode', 'direction', 'body', 'close_code', 'close_reason', 'event', 'data',
] as const;
