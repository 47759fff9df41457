/**
 * A body that may not have been sent, whatever its head says: after `Expect: 100-continue` and another answer (RFC 9110 §10.1.1), or in the
 * response to a request that was not captured, which may have been HEAD. A call of the program that begins with the first line of a
 * message, where the body would begin, is that message.
 */
import { LF } from './bytes.ts';
import { guess, kindOfLine } from './start-line.ts';
import { AT, type Http1Parser, NOTHING, type Piece } from './state.ts';

/** A request's line can be long; of one that is longer nobody knows that it is one. */
const LINE_BYTES = 16 * 1024;

/** Bytes where such a body may begin. Returns what is to be read now: nothing while its first line is not whole. */
export function addAtBody(p: Http1Parser, piece: Piece): Piece | null {
  const isFirst = p.early === NOTHING && piece.fresh && piece.position === p.bodyAt;
  if (p.early === NOTHING && !isFirst) {
    p.mayLackBody = false;
    return piece;
  }
  p.early = Buffer.concat([p.early, piece.bytes]);
  const told = tell(p, p.early);
  if (told === 'more') return null;
  const found = takeEarly(p);
  if (told === 'message') {
    p.state = AT.start;
    p.handler.onUnsent();
  }
  return found;
}

/** What was kept is not known to be a message: it is read as the body. */
export function takeEarly(p: Http1Parser): Piece {
  const found = { bytes: p.early, position: p.bodyAt, fresh: true };
  p.early = NOTHING;
  p.mayLackBody = false;
  return found;
}

function tell({ kind }: Http1Parser, bytes: Buffer): 'message' | 'body' | 'more' {
  const told = guess(bytes, 0, bytes.length);
  if (told === 'other' || (told !== 'more' && told !== kind)) return 'body';
  const newline = bytes.indexOf(LF);
  if (newline === -1) return bytes.length < LINE_BYTES ? 'more' : 'body';
  return kindOfLine(bytes, 0, newline) === kind ? 'message' : 'body';
}
