/**
 * Field lines of a head or of trailers (RFC 9112 §5). What is odd about a line is flagged, and the
 * line is read all the same. Only where another program may see other lines, or another length
 * of the body, is the framing not trusted.
 *
 * Read although it is odd: line ends that are all LF alone (§2.2), a folded line, which is joined by one
 * space (§5.2), white space before a colon and a name with other characters than a name may have.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { HeaderList, Headers, HttpFlag } from '../../src/event.ts';

export interface Fields {
  readonly headers: Headers;
  readonly list: HeaderList;
  readonly flags: readonly HttpFlag[];
  /** The flag for which the framing cannot be trusted. */
  readonly fault: HttpFlag | null;
}

interface Reading {
  readonly headers: Record<string, string[]>;
  readonly list: [string, string][];
  readonly flags: HttpFlag[];
  fault: HttpFlag | null;
  crlf: boolean;
  bareLf: boolean;
}

/** The characters of a name (RFC 9110 §5.6.2). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A name that a careless reader takes for one that frames the body. */
const FRAMING_NAME = /^(?:contentlength|transferencoding)$/;
const NOT_LETTERS = /[^a-z]+/g;

/** Bytes over 0x7f are UTF-8 when all are, ISO 8859-1 otherwise. */
export function decodeLines(bytes: Buffer): string {
  return !isAscii(bytes) && isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
}

/** Lines up to the empty one. `at`: where the first field line begins; what is before it is the start line. */
export function readFields(text: string, at: number): Fields {
  const reading: Reading = { headers: Object.create(null) as Record<string, string[]>, list: [], flags: [], fault: null, crlf: false, bareLf: false };
  if (at > 0) endOfLine(reading, text, 0, at - 1);
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    const end = endOfLine(reading, text, at, newline === -1 ? text.length : newline);
    if (end === at) break;
    // A line that the limit cut says nothing for sure.
    if (newline === -1) break;
    addLine(reading, text, at, end);
    at = newline + 1;
  }
  if (reading.bareLf) flag(reading, reading.crlf ? 'mixed-line-ends' : 'bare-line-feed', reading.crlf);
  const { headers, list, flags, fault } = reading;
  return { headers, list, flags, fault };
}

/** Where the line ends without its line end, which is at `newline`. */
function endOfLine(reading: Reading, text: string, start: number, newline: number): number {
  const isCrlf = newline > start && text.charCodeAt(newline - 1) === 0x0d;
  const end = isCrlf ? newline - 1 : newline;
  if (newline < text.length) {
    if (isCrlf) reading.crlf = true;
    else reading.bareLf = true;
  }
  const carriageReturn = text.indexOf('\r', start);
  if (carriageReturn !== -1 && carriageReturn < end) flag(reading, 'bare-carriage-return', true);
  return end;
}

function flag(reading: Reading, name: HttpFlag, isFault: boolean): void {
  if (!reading.flags.includes(name)) reading.flags.push(name);
  if (isFault) reading.fault ??= name;
}

function addLine(reading: Reading, text: string, start: number, end: number): void {
  if (isBlank(text.charCodeAt(start))) return addFolded(reading, text.slice(start, end).trim());
  const colon = text.indexOf(':', start);
  if (colon === -1 || colon >= end) return flag(reading, 'line-without-colon', true);
  let nameEnd = colon;
  while (nameEnd > start && isBlank(text.charCodeAt(nameEnd - 1))) nameEnd--;
  const name = text.slice(start, nameEnd);
  if (nameEnd < colon) flag(reading, 'space-before-colon', isLikeFraming(name));
  if (!TOKEN.test(name)) flag(reading, 'bad-header-name', isLikeFraming(name));
  add(reading, name, valueOf(text, colon + 1, end));
}

function add({ headers, list }: Reading, name: string, value: string): void {
  const key = name.toLowerCase();
  const values = headers[key];
  if (values === undefined) headers[key] = [value];
  else values.push(value);
  list.push([name, value]);
}

/** Goes on with the value before it, where there is one. */
function addFolded(reading: Reading, more: string): void {
  const last = reading.list.at(-1);
  const colon = more.indexOf(':');
  flag(reading, 'folded-line', last === undefined || isLikeFraming(last[0]) || (colon !== -1 && isLikeFraming(more.slice(0, colon))));
  if (last === undefined || more === '') return;
  const [name, value] = last;
  const joined = value === '' ? more : `${value} ${more}`;
  last[1] = joined;
  (reading.headers[name.toLowerCase()] as string[]).splice(-1, 1, joined);
}

function isLikeFraming(name: string): boolean {
  return FRAMING_NAME.test(name.toLowerCase().replaceAll(NOT_LETTERS, ''));
}

function valueOf(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
