/**
 * What of a body is over the limit, where a capture asks for every byte and secrets are masked: its chunks
 * are left out then, so it is told decoded, part after part, as `body` events. A part leaves when the next is there,
 * so that a secret over their border is masked in both. What is held of one body does not grow with it.
 */
import type { BodyData, BodyEvent, SecretMarks } from '../../src/event.ts';
import { joinMarks, withMarks } from '../redact/marks.ts';
import { TAIL_BYTES, tailOf } from '../redact/tail.ts';
import { textOf, wholeCharacters } from './body.ts';
import type { Channel } from './channel.ts';
import { countMasked, masked, secretsOf } from './mask.ts';

export interface BodyParts {
  add(bytes: Buffer): void;
  /** `count` bytes of the body are not there. */
  miss(count: number): void;
  /** No more bytes come: what is held leaves. Safe twice. */
  end(): void;
  /** Bytes may be missing from here on, and nobody knows how many. Where that does not matter, what comes is told as what comes next. */
  doubt?(): void;
}

/** Whose body it is. */
export type PartsOwner = Pick<BodyData, 'exchange' | 'url' | 'side' | 'index'>;

export interface BodyPartsOptions {
  readonly owner: PartsOwner;
  /** Where in the body the first part begins. */
  readonly offset: number;
  /** What is kept of the body before it, not masked yet. */
  readonly before: Buffer;
}

/** Null where too many bodies are told so at once. */
export function createBodyParts(channel: Channel, { owner, offset: first, before }: BodyPartsOptions): BodyParts | null {
  const { environment } = channel;
  const { parts, limits, counters } = environment;
  const partBytes = limits.bodyPartBytes;
  // As much again tells what is in a part.
  const heldBytes = 2 * partBytes;
  if (parts.used + heldBytes > parts.limit) {
    counters.add('body_parts_full');
    return null;
  }
  parts.used += heldBytes;
  const held = Buffer.allocUnsafeSlow(heldBytes);
  let length = 0;
  let offset = first;
  let tail: Buffer = Buffer.from(before.subarray(Math.max(0, before.length - TAIL_BYTES)));
  let ended = false;

  function tell(count: number): void {
    const text = Buffer.concat([tail, held.subarray(0, length)]);
    const ranges = environment.locate?.('body', text) ?? [];
    const end = tail.length + count;
    const bytes = masked(text, ranges).subarray(tail.length, end);
    const own = secretsOf(ranges.filter((range) => range.end > tail.length && range.start < end));
    environment.derive(eventOf(bytes, joinMarks([], own, (left) => counters.add('secrets_unlisted', left))));
    tail = tailOf(text, end, ranges);
    held.copyWithin(0, count, length);
    length -= count;
    offset += count;
  }

  function eventOf(bytes: Buffer, secrets: SecretMarks): BodyEvent {
    const { timestamp, pid, comm, process, session } = channel.carrier;
    const { text, encoding } = textOf(bytes);
    const redacted = countMasked(bytes);
    counters.add('masked', redacted);
    return {
      timestamp, source: 'body', pid, comm, id: environment.nextId(), process, session,
      data: {
        ...owner, connection: channel.connection, offset, bytes: bytes.length,
        body: text, body_encoding: encoding, redacted, ...withMarks(secrets),
      },
    };
  }

  function tellAll(): void {
    while (length > 0) tell(length > partBytes ? wholeCharacters(held.subarray(0, partBytes)) : length);
  }

  return {
    add(bytes) {
      for (let at = 0; at < bytes.length && !ended;) {
        if (length === heldBytes) tell(wholeCharacters(held.subarray(0, partBytes)));
        const count = Math.min(bytes.length - at, heldBytes - length);
        bytes.copy(held, length, at, at + count);
        length += count;
        at += count;
      }
    },
    miss(count) {
      tellAll();
      tail = Buffer.alloc(0);
      offset += count;
    },
    end() {
      if (ended) return;
      ended = true;
      tellAll();
      parts.used -= heldBytes;
    },
  };
}
