/**
 * Reads the head of one HTTP/1 message (RFC 9112 §3-§5) and says how its body
 * is framed (§6.3).
 *
 * Lines may end in LF alone. A folded line, a line without a colon or a name
 * with white space in it makes the head faulty: what was read stays, but its
 * framing is not trusted. Bytes over 0x7f are UTF-8 when the whole head is,
 * ISO 8859-1 otherwise.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { HeaderList, Headers } from '../../src/event.ts';
import { isDigit } from './bytes.ts';
import type { MessageKind } from './start-line.ts';

export interface Head {
  readonly kind: MessageKind;
  /** `1.0`, `1.1` or `2`. */
  readonly version: string;
  /** Of a request; empty in a response. */
  readonly method: string;
  readonly target: string;
  /** Of a response; 0 in a request, and where it is not known. */
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly list: HeaderList;
  /** In HTTP/2: what stands for `Host`, and what an extended CONNECT asks for. */
  readonly authority: string | null;
  readonly protocol: string | null;
  /** Why the framing cannot be trusted. */
  readonly fault: string | null;
}

/** How many bytes of body follow, or one of the names below. */
export type Framing = number;
export const FRAMING = { none: 0, chunked: -1, untilClose: -2, opaque: -3, lost: -4 } as const;

type StartLine = Pick<Head, 'version' | 'method' | 'target' | 'status' | 'statusText'>;

/** `bytes` is the whole head with its blank line; its first line has been checked by `kindOfLine`. */
export function parseHead(bytes: Buffer, kind: MessageKind): Head {
  const text = decode(bytes);
  const headers = Object.create(null) as Record<string, string[]>;
  const list: [string, string][] = [];
  let at = text.indexOf('\n') + 1;
  const start = parseStartLine(kind, text.slice(0, lineEnd(text, 0, at === 0 ? text.length : at - 1)));
  let fault: string | null = at === 0 ? 'head without an end' : null;
  while (at > 0 && at < text.length && fault === null) {
    const newline = text.indexOf('\n', at);
    const end = lineEnd(text, at, newline === -1 ? text.length : newline);
    if (end === at) break;
    fault = addHeader(text, at, end, headers, list);
    at = newline + 1;
  }
  return { kind, ...start, headers, list, authority: null, protocol: null, fault };
}

function decode(bytes: Buffer): string {
  return !isAscii(bytes) && isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
}

function lineEnd(text: string, start: number, newline: number): number {
  return newline > start && text.charCodeAt(newline - 1) === 0x0d ? newline - 1 : newline;
}

function parseStartLine(kind: MessageKind, line: string): StartLine {
  if (kind === 'response') {
    return {
      version: line.slice(5, 8), method: '', target: '',
      status: Number(line.slice(9, 12)), statusText: line.slice(13),
    };
  }
  const space = line.indexOf(' ');
  return {
    version: line.slice(-3), method: line.slice(0, space), target: line.slice(space + 1, -9),
    status: 0, statusText: '',
  };
}

/** Adds the line to both forms; returns why it is no header line, or null. */
function addHeader(
  text: string, start: number, end: number, headers: Record<string, string[]>, list: [string, string][],
): string | null {
  if (isBlank(text.charCodeAt(start))) return 'folded header line';
  const colon = text.indexOf(':', start);
  if (colon === -1 || colon >= end) return 'header line without a colon';
  if (colon === start) return 'header line without a name';
  if (isBlank(text.charCodeAt(colon - 1))) return 'white space before the colon of a header line';
  let from = colon + 1;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  const name = text.slice(start, colon);
  const value = text.slice(from, to);
  const key = name.toLowerCase();
  const values = headers[key];
  if (values === undefined) headers[key] = [value];
  else values.push(value);
  list.push([name, value]);
  return null;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** `method` is the request's, where it is known: only it tells that a response has no body. */
export function framingOf(head: Head, method: string | null): Framing {
  if (head.fault !== null) return FRAMING.lost;
  if (head.kind === 'response') {
    if (head.status === 101) return FRAMING.opaque;
    if (head.status < 200 || head.status === 204 || head.status === 304 || method === 'HEAD') return FRAMING.none;
    if (method === 'CONNECT' && head.status < 300) return FRAMING.opaque;
  }
  const coding = head.headers['transfer-encoding'];
  if (coding !== undefined) return transferFraming(head, coding);
  const lengths = head.headers['content-length'];
  if (lengths !== undefined) return contentLength(lengths);
  return head.kind === 'request' ? FRAMING.none : FRAMING.untilClose;
}

/** Transfer-Encoding overrides Content-Length; a request whose last coding is not chunked has no end. */
function transferFraming(head: Head, coding: readonly string[]): Framing {
  const last = coding.at(-1)?.split(',').at(-1)?.trim().toLowerCase();
  if (last === 'chunked') return FRAMING.chunked;
  return head.kind === 'request' ? FRAMING.lost : FRAMING.untilClose;
}

/** The same length said several times is one length; two different ones are none. */
function contentLength(values: readonly string[]): Framing {
  let length = -1;
  for (const part of values.length === 1 && values[0] !== undefined && !values[0].includes(',')
    ? values : values.flatMap((value) => value.split(','))) {
    const value = isDigits(part.trim()) ? Number(part) : Number.NaN;
    if (!Number.isSafeInteger(value) || (length !== -1 && length !== value)) return FRAMING.lost;
    length = value;
  }
  return length;
}

function isDigits(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) return false;
  }
  return true;
}
