/**
 * How long the body of a message is (RFC 9112 §6). Where two programs may read two lengths, as requests
 * are smuggled past a proxy, none is taken. Lenient in two things: the same
 * length said twice is one (§6.3), and in a response chunks go before a length, as every client has it.
 */
import type { Headers, HttpFlag } from '../../src/event.ts';
import { isDigit } from './bytes.ts';
import type { Head } from './head.ts';
import type { MessageKind } from './start-line.ts';

/** How many bytes of body follow, or one of the names below. */
export type Framing = number;
export const FRAMING = { none: 0, chunked: -1, untilClose: -2, opaque: -3, lost: -4 } as const;

export interface BodyLength {
  /** As the head tells it. */
  readonly framing: Framing;
  readonly flags: readonly HttpFlag[];
  /** The flag for which the framing is lost. */
  readonly fault: HttpFlag | null;
}

const LIST = /[ \t]*,[ \t]*/;
const NO_FLAGS: readonly HttpFlag[] = [];

/** What the fields alone tell, whatever the request was. */
export function bodyLengthOf(kind: MessageKind, version: string, headers: Headers): BodyLength {
  const codings = headers['transfer-encoding'];
  const lengths = headers['content-length'];
  if (codings === undefined) {
    if (lengths === undefined) return { framing: kind === 'request' ? FRAMING.none : FRAMING.untilClose, flags: NO_FLAGS, fault: null };
    return contentLength(lengths);
  }
  const coded = transferLength(kind, version, codings);
  if (lengths === undefined) return coded;
  const counted = contentLength(lengths);
  const flags: readonly HttpFlag[] = ['length-with-transfer-coding', ...coded.flags, ...counted.flags];
  const isOne = kind === 'response' && coded.framing === FRAMING.chunked && counted.fault === null;
  return isOne ? { framing: coded.framing, flags, fault: null } : { framing: FRAMING.lost, flags, fault: flags[0] ?? null };
}

/** `method` is the request's, where it is known: only it tells that a response has no body. */
export function framingOf(head: Head, method: string | null): Framing {
  if (head.fault !== null) return FRAMING.lost;
  if (head.kind === 'response') {
    if (head.status === 101) return FRAMING.opaque;
    if (head.status < 200 || head.status === 204 || head.status === 304 || method === 'HEAD') return FRAMING.none;
    if (method === 'CONNECT' && head.status < 300) return FRAMING.opaque;
  }
  return head.length.framing;
}

function transferLength(kind: MessageKind, version: string, values: readonly string[]): BodyLength {
  const codings = values.flatMap((value) => value.toLowerCase().split(LIST)).filter((coding) => coding !== '');
  const chunked = codings.filter((coding) => coding === 'chunked').length;
  if (version === '1.0') return lost('transfer-coding-in-http-1.0');
  if (chunked > 1) return lost('chunked-repeated');
  if (codings.at(-1) === 'chunked') return { framing: FRAMING.chunked, flags: NO_FLAGS, fault: null };
  if (chunked > 0) return lost('chunked-not-last');
  if (kind === 'request') return lost('transfer-coding-without-chunked');
  return { framing: FRAMING.untilClose, flags: ['transfer-coding-without-chunked'], fault: null };
}

export function contentLength(values: readonly string[]): BodyLength {
  const [only = ''] = values;
  if (values.length === 1 && isLength(only)) return { framing: Number(only), flags: NO_FLAGS, fault: null };
  const parts = values.flatMap((value) => value.split(LIST));
  if (!parts.every(isLength)) return lost('bad-length');
  const lengths = new Set(parts.map(Number));
  if (lengths.size > 1) return lost('lengths-differ');
  return { framing: Number(parts[0]), flags: ['length-repeated'], fault: null };
}

function lost(flag: HttpFlag): BodyLength {
  return { framing: FRAMING.lost, flags: [flag], fault: flag };
}

function isLength(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) return false;
  }
  return Number.isSafeInteger(Number(text));
}
