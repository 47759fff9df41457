/**
 * From a row of the store to the JSON of the API. `data` is passed on as the
 * text it was captured as, so that a number in it keeps all its digits; only
 * what has to be cut is parsed and written again.
 */
import { LIMITS } from '../../limits.ts';

export interface EventRow {
  readonly time: string;
  readonly source: string;
  readonly pid: number;
  readonly comm: string;
  readonly id: string;
  readonly process: string;
  readonly session: string;
  /** The JSON text, or empty when the row was too long and `parts` has its pieces. */
  readonly data: string;
  /** Key, the first bytes of its JSON, and how long that JSON is. */
  readonly parts: readonly (readonly [key: string, json: string, bytes: string])[];
}

/** JSON text of an ApiEvent, its long strings cut. */
export function listedEvent(row: EventRow): string {
  const { json, cut } = row.parts.length > 0 ? cutParts(row.parts) : cutText(row.data);
  return eventJson(row, json, cut);
}

/** JSON text of an ApiEvent, whole. */
export function wholeEvent(row: EventRow): string {
  return eventJson(row, readableJson(row.data), false);
}

function eventJson(row: EventRow, data: string, cut: boolean): string {
  const head = JSON.stringify({
    timestamp: row.time,
    source: row.source,
    pid: row.pid,
    comm: row.comm,
    id: row.id,
    process: row.process === '' ? null : row.process,
    session: row.session === '' ? null : row.session,
  });
  return `${head.slice(0, -1)},"data":${data}${cut ? ',"cut":true' : ''}}`;
}

export interface CutJson {
  readonly json: string;
  readonly cut: boolean;
}

/** A text that is shorter than one string may be cannot hold a string that is too long. */
export function cutText(text: string): CutJson {
  if (text.length <= LIMITS.listStringCharacters) return { json: readableJson(text), cut: false };
  const value = parseObject(text);
  if (value === undefined) return { json: unreadable(text), cut: true };
  const result = cutValue(value);
  return result.cut ? { json: JSON.stringify(result.value), cut: true } : { json: text, cut: false };
}

export interface CutValue {
  readonly value: unknown;
  readonly cut: boolean;
}

/** Cuts every string in a JSON value; a value without a long one is given back as it is. */
export function cutValue(value: unknown): CutValue {
  if (typeof value === 'string') {
    return value.length <= LIMITS.listStringCharacters ? { value, cut: false } : { value: cutString(value), cut: true };
  }
  if (typeof value !== 'object' || value === null) return { value, cut: false };
  const entries = Object.entries(value).map(([key, child]) => [key, cutValue(child)] as const);
  if (!entries.some(([, child]) => child.cut)) return { value, cut: false };
  if (Array.isArray(value)) return { value: entries.map(([, child]) => child.value), cut: true };
  return { value: Object.fromEntries(entries.map(([key, child]) => [key, child.value])), cut: true };
}

function cutString(text: string): string {
  const end = LIMITS.listStringCharacters;
  // Not between the halves of a surrogate pair.
  return text.slice(0, isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/**
 * The pieces that the store cut out of a long `data`: whole values stay, a long
 * string is cut, a long array or object becomes an empty one.
 */
function cutParts(parts: EventRow['parts']): CutJson {
  const members = parts.map(([key, json, bytes]) => {
    const whole = Number(bytes) <= Buffer.byteLength(json);
    const text = whole ? cutWhole(json) : cutPiece(json);
    return `${JSON.stringify(key)}:${text}`;
  });
  return { json: `{${members.join(',')}}`, cut: true };
}

function cutWhole(json: string): string {
  const value = parseJson(json);
  if (value === undefined) return 'null';
  const result = cutValue(value);
  return result.cut ? JSON.stringify(result.value) : json;
}

function cutPiece(json: string): string {
  if (json.startsWith('[')) return '[]';
  if (json.startsWith('{')) return '{}';
  if (!json.startsWith('"')) return 'null';
  // The cut may have fallen into an escape (at most `\uXXXX`) or into a UTF-8 sequence.
  for (let end = json.length; end > json.length - 12 && end > 0; end -= 1) {
    const value = parseJson(`${json.slice(0, end)}"`);
    if (typeof value === 'string') return JSON.stringify(cutString(value.replace(/\ufffd+$/u, '')));
  }
  return '""';
}

/** The store takes an object's text without checking it; the API must not pass on what is no JSON. */
function readableJson(text: string): string {
  return parseObject(text) === undefined ? unreadable(text) : text;
}

function unreadable(text: string): string {
  return JSON.stringify({ unreadable: cutString(text) });
}

function parseObject(text: string): object | undefined {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null ? value : undefined;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
