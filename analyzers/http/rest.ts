/** What of a body comes after the kept bytes: told in parts where a capture asks for every byte and no secret can hide in it. */
import { isUtf8 } from 'node:buffer';
import { isReadable } from '../coding/readable.ts';
import { type Place, advance, createPlace, mayBeFramed, skip } from '../grpc/compressed.ts';
import { TAIL_BYTES } from '../redact/tail.ts';
import { type Body, cutBody, keptBytes, wholeCharacters } from './body.ts';
import { type BodyParts, type PartsOwner, createBodyParts } from './body-parts.ts';
import type { Channel } from './channel.ts';
import { type Range, fillRanges, masked } from './mask.ts';
import type { Message } from './message.ts';

export interface Rest {
  readonly owner: PartsOwner;
  readonly body: Body;
  /** Where in the body the rest begins. */
  readonly offset: number;
  /** Masks what is kept. */
  readonly search: () => void;
}

/** `end`: of the bytes in the body. `search` masks what is kept. Returns whether more are wanted. */
export function addRest(channel: Channel, message: Message, bytes: Buffer, { end, search }: { readonly end: number; readonly search: () => void }): boolean {
  if (message.parts === undefined) message.parts = openMessage(channel, message, end - bytes.length, search);
  message.parts?.add(bytes);
  return message.parts !== null;
}

/** Whether anybody asks for what is over the limit. A replay passes on the parts that its capture has. */
export function wantsRest({ environment, hold }: Channel): boolean {
  return hold !== null && environment.locate !== undefined && !environment.isReplay;
}

/** Parts of a body that has just been cut. Its kept bytes are masked then, and no sooner: a secret in them may go on. */
export function openRest(channel: Channel, { owner, body, offset, search }: Rest, compressed: readonly Range[] = []): BodyParts | null {
  const kept = keptBytes(body);
  const from = Math.max(0, kept.length - TAIL_BYTES);
  const before = Buffer.from(kept.subarray(from));
  fillRanges(before, compressed.filter((range) => range.end > from).map(({ start, end }) => ({ start: start - from, end: end - from })));
  search();
  const cut = cutCharacter(body);
  const end = before.length - cut;
  const parts = createBodyParts(channel, { owner, offset: offset - cut, before: before.subarray(0, end) });
  parts?.add(before.subarray(end));
  return parts;
}

function openMessage(channel: Channel, message: Message, offset: number, search: () => void): BodyParts | null {
  const { owner, head, body } = message;
  if (owner === null || !wantsRest(channel)) return null;
  const isFramed = mayBeFramed(keptBytes(body), head.headers['content-type']?.[0]);
  if (!tellsCoding(message) || (isFramed && (message.fault !== null || message.isDoubtful))) {
    channel.environment.counters.add('body_parts_unsure');
    return null;
  }
  const place = createPlace();
  const compressed = isFramed ? advance(place, keptBytes(body)) : [];
  const parts = openRest(channel, { owner: { exchange: owner.id, url: owner.url, side: head.kind }, body, offset, search }, compressed);
  return parts === null || !isFramed ? parts : framedParts(channel, parts, place);
}

/** Of messages of gRPC: those that are compressed nobody can search, so they are masked whole, as in the kept bytes. */
function framedParts({ environment: { counters } }: Channel, parts: BodyParts, place: Place): BodyParts {
  let isLost = false;
  function lose(): void {
    if (isLost) return;
    isLost = true;
    counters.add('body_parts_unsure');
    parts.end();
  }
  return {
    add(bytes) {
      if (isLost) return;
      const before = place.compressed;
      const ranges = advance(place, bytes);
      counters.add('grpc_compressed', place.compressed - before);
      parts.add(masked(bytes, ranges));
    },
    miss(count) {
      if (isLost) return;
      if (skip(place, count)) parts.miss(count);
      else lose();
    },
    doubt: lose,
    end: () => parts.end(),
  };
}

/** The bytes of a character that the limit has cut in two are not shown there: they begin what comes. Returns how many. */
function cutCharacter(body: Body): number {
  const bytes = keptBytes(body);
  const whole = wholeCharacters(bytes);
  if (whole === bytes.length || !isUtf8(bytes.subarray(0, whole))) return 0;
  cutBody(body, whole);
  return bytes.length - whole;
}

/** False where fields of the head are not known, so that one of them may name a coding, and the body does not look as if there were none. */
export function tellsCoding({ head: { version, fault, list }, body }: Message): boolean {
  if (version !== '2') return true;
  const isMissing = fault !== null && list.length === 0;
  const isKnown = !isMissing && !list.some(([name, value]) => name === null || (value === null && name === 'content-encoding'));
  return isKnown || isReadable(keptBytes(body));
}
