/**
 * One event line for the live stream: the line's own text wherever possible,
 * its timestamp as a string with every digit it had.
 */
import { LIMITS } from '../limits.ts';
import { cutValue, parseJson } from './store/rows.ts';

export interface LiveEvent {
  /** null: of no session, such as a loss; every page wants it. */
  readonly session: string | null;
  /** JSON text of an ApiEvent. */
  readonly json: string;
}

const TIMESTAMP = /^\{"timestamp":(\d{1,20}),/;

/** null when it is no event line. */
export function readLiveLine(line: string): LiveEvent | null {
  const timestamp = TIMESTAMP.exec(line);
  const value = timestamp === null ? undefined : parseJson(line);
  if (timestamp === null || typeof value !== 'object' || value === null) return null;
  const event = value as Readonly<Record<string, unknown>>;
  const session = typeof event['session'] === 'string' ? event['session'] : null;
  const head = `{"timestamp":"${timestamp[1]}",`;
  // A line no longer than the cut cannot hold a string that needs it.
  if (line.length <= LIMITS.listStringCharacters) return { session, json: head + line.slice(timestamp[0].length) };
  const data = cutValue(event['data']);
  if (!data.cut) return { session, json: head + line.slice(timestamp[0].length) };
  const { timestamp: _exact, ...rest } = event;
  return { session, json: head + JSON.stringify({ ...rest, data: data.value, cut: true }).slice(1) };
}

/**
 * How many of these lines a page of one session would have been sent: its own,
 * and those of no session. Not parsed, since this is asked when there is no time
 * to parse; a collector writes `session` last.
 */
export function countForSession(lines: Buffer, session: string): number {
  return countText(lines, `"session":${JSON.stringify(session)}}\n`) + countText(lines, '"session":null}\n');
}

function countText(bytes: Buffer, text: string): number {
  const needle = Buffer.from(text);
  let count = 0;
  for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + needle.length)) count += 1;
  return count;
}
