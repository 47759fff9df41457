/**
 * Which request a response of HTTP/1 answers. Responses come in the order of their requests (RFC 9112 §9.3): first in,
 * first out, as long as nothing is lost.
 *
 * After a loss it has to be inferred anew. A client that was not seen to pipeline sends a request when it has the response
 * to the one before; one that pipelines sends its requests in turns, the next when all of the one before are answered, unless
 * it was seen to do otherwise. So all before the last turn, or the last request, are answered. The last may be answered in what
 * was lost, too, and the next response be to a request that was lost with it: a full ring loses both. What cannot be told
 * is not paired, and the next request is in step again. A request that is sent before the response to a lost one shows that its client pipelines.
 *
 * A client that begins to pipeline right in what was lost looks like one that does not: what is paired after a loss is said to be inferred.
 */
import type { Nanoseconds } from '../../src/time.ts';
import type { MessageKind } from '../http1/start-line.ts';
import type { Exchange } from './exchange.ts';

export interface Pairing {
  /** All responses so far were seen, and all requests up to this number: the order of messages proves what belongs together. */
  provenBefore: number;
  /** Requests without a response so far, in order. */
  waiting: Exchange[];
  /** Several requests were in one call, or waited when a response came and no response had been lost. */
  pipelines: boolean;
  /** When the last request began. */
  last: Nanoseconds | null;
  /** Some of them were sent after responses to others of them: there are no turns. */
  overlaps: boolean;
  /** A response began after the last request. */
  answered: boolean;
  /** Number of the request that began the turn. */
  turn: number;
  /** Requests from this number on may come after some that were not seen. */
  unsureFrom: number;
  /** Where responses were lost, that to the last request may be among them. */
  swallowed: boolean;
  /** Responses to none of the requests that are known, since the last of these. */
  unasked: number;
  /** Requests were lost whole, and no response since then that could be to them: the next is. */
  owed: boolean;
  /** Responses to requests that were given up, and that are still to come. */
  due: number;
  /** What was lost last. */
  loss: string;
  /** The end of a request could not be told: the server may see others in it than we do, answered whenever. */
  doubt: string | null;
}

export type OnGivenUp = (exchange: Exchange) => void;

export function createPairing(): Pairing {
  return { provenBefore: Infinity, waiting: [], pipelines: false, last: null, overlaps: false, answered: false, turn: 0, unsureFrom: Infinity, swallowed: false, unasked: 0, owed: false, due: 0, loss: 'beginning of the connection not captured', doubt: null };
}

/** What came right before a request was lost: `requests`: it had at least one; `maybe`: the rest of the one before it, or more. */
export type Lost = 'nothing' | 'requests' | 'maybe';

/** `inStep`: no response is missing so far. */
export function addRequest(p: Pairing, exchange: Exchange, { lost, inStep }: { readonly lost: Lost; readonly inStep: boolean }): void {
  // All bytes of one call of the program have its time.
  if (p.last === exchange.started) p.pipelines = true;
  p.last = exchange.started;
  if (p.answered) {
    p.answered = false;
    p.turn = exchange.number;
    if (!p.overlaps && p.waiting.length === 0 && p.due === 0) p.unsureFrom = Infinity;
  }
  if (p.doubt !== null) exchange.unsure = `paired after a request with an end that is not sure: ${p.doubt}`;
  if (lost !== 'nothing') p.unsureFrom = Math.min(p.unsureFrom, exchange.number);
  if (lost !== 'nothing' && inStep && p.unasked === 0) {
    if (lost === 'requests') p.owed = true;
    else exchange.unsure ??= 'what came before it was lost, and may have had a request in it';
  }
  p.unasked = 0;
  p.waiting.push(exchange);
}

/** The request that the response just begun answers, or undefined where that is not known. */
export function takeRequest(p: Pairing, onGivenUp: OnGivenUp): Exchange | undefined {
  const taken = take(p, onGivenUp);
  if (taken === undefined) {
    p.unasked++;
    p.provenBefore = 0;
  } else {
    taken.inferred = taken.number >= p.provenBefore;
  }
  return taken;
}

function take(p: Pairing, onGivenUp: OnGivenUp): Exchange | undefined {
  const [first] = p.waiting;
  const { swallowed } = p;
  p.answered = true;
  p.swallowed = false;
  const isOthers = p.due > 0 || isOwed(p);
  if (p.due > 0) p.due--;
  if (first === undefined) return undefined;
  // Sent before the response to what was lost: the client pipelines.
  if (isOthers) p.pipelines = true;
  if (first.suspect !== null) return takeAfterLoss(p, swallowed, onGivenUp);
  if (p.waiting.length > 1) p.pipelines = true;
  if (p.waiting.length > 1 && first.number < p.turn) p.overlaps = true;
  if (!isOthers && (!p.pipelines || first.number < p.unsureFrom)) return p.waiting.shift();
  p.due += p.waiting.length - (isOthers ? 0 : 1);
  return giveUp(p, onGivenUp);
}

/** The next response is to a request that was lost. */
function isOwed({ owed, waiting: [first], unsureFrom }: Pairing): boolean {
  return owed && first !== undefined && first.number >= unsureFrom;
}

function takeAfterLoss(p: Pairing, swallowed: boolean, onGivenUp: OnGivenUp): Exchange | undefined {
  if (p.overlaps) return giveUp(p, onGivenUp);
  const older = p.waiting.filter(({ number }, i) => (p.pipelines ? number < p.turn : i < p.waiting.length - 1));
  p.waiting.splice(0, older.length);
  older.forEach(onGivenUp);
  const [first] = p.waiting;
  if (first === undefined || first.suspect === null) return p.waiting.shift();
  if (p.waiting.length > 1 || swallowed) return giveUp(p, onGivenUp);
  first.suspect = null;
  return p.waiting.shift();
}

function giveUp(p: Pairing, onGivenUp: OnGivenUp): undefined {
  for (const exchange of p.waiting.splice(0)) {
    exchange.suspect ??= p.loss;
    onGivenUp(exchange);
  }
  p.unsureFrom = 0;
  p.owed = false;
}

/** From here on a message may be missing: of those that ask, where the exchange of the next has number `next`. */
export function doubtOrder(p: Pairing, kind: MessageKind | null, next: number): void {
  p.provenBefore = kind === 'request' ? Math.min(p.provenBefore, next) : 0;
}

/** Any request that waits, but for those numbered from `before` on, may have been answered in what was lost. */
export function loseResponses(p: Pairing, { before, swallowed }: { readonly before: number; readonly swallowed: boolean }): void {
  p.swallowed ||= swallowed;
  p.owed = false;
  p.due = 0;
  for (const exchange of p.waiting) {
    if (exchange.number < before) exchange.suspect ??= p.loss;
  }
}

/** The request that an interim response is about: the one that its real response will answer. */
export function announced(p: Pairing): Exchange | undefined {
  const { waiting } = p;
  const [first] = waiting;
  if (isOwed(p)) return undefined;
  return first?.suspect == null ? first : waiting.at(-1);
}
