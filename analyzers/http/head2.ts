/** A message's head as the fields of an HTTP/2 header block tell it (RFC 9113 §8.3). */
import type { HeaderList } from '../../src/event.ts';
import { contentLength } from '../http1/framing.ts';
import { type Head, NO_LENGTH } from '../http1/head.ts';
import type { MessageKind } from '../http1/start-line.ts';
import type { Field } from '../http2/table.ts';
import { flagsOf } from './flags2.ts';

const STATUS = /^[1-9][0-9]{2}$/;
const UNKNOWN_FIELDS = 'header fields were sent before the capture or in a gap';

/** What the fields make of the message: null when they do not tell. */
export function kindOf(fields: readonly Field[]): MessageKind | null {
  for (const { name } of fields) {
    if (name === ':status') return 'response';
    if (name === ':method' || name === ':path' || name === ':scheme' || name === ':authority') return 'request';
  }
  return null;
}

interface Pseudo {
  method: string;
  path: string | null;
  status: string;
  authority: string | null;
  protocol: string | null;
}

export function headOf(kind: MessageKind, fields: readonly Field[]): Head {
  const headers = Object.create(null) as Record<string, string[]>;
  const pseudo: Pseudo = { method: '', path: null, status: '', authority: null, protocol: null };
  for (const { name, value } of fields) {
    if (name === null || value === null) continue;
    if (name.startsWith(':')) setPseudo(pseudo, name, value);
    else (headers[name] ??= []).push(value);
  }
  const { method, authority, protocol } = pseudo;
  const target = pseudo.path ?? (method === 'CONNECT' ? authority : null) ?? '';
  const status = STATUS.test(pseudo.status) ? Number(pseudo.status) : 0;
  const whole = kind === 'response' ? status > 0 : method !== '' && target !== '';
  const unknown = fields.some(({ name }) => name === null);
  const length = headers['content-length'] === undefined ? NO_LENGTH : contentLength(headers['content-length']);
  return {
    kind, version: '2', method: kind === 'request' && method === '' ? 'UNKNOWN' : method, target, status, statusText: '', headers, list: listOf(fields),
    authority, protocol, length, flags: [...length.flags, ...flagsOf(kind, fields)],
    fault: whole ? null : unknown ? UNKNOWN_FIELDS : `${kind} without its ${kind === 'request' ? 'method or path' : 'status'}`,
  };
}

function setPseudo(pseudo: Pseudo, name: string, value: string): void {
  switch (name) {
    case ':method': pseudo.method = value; break;
    case ':path': pseudo.path = value; break;
    case ':status': pseudo.status = value; break;
    case ':authority': pseudo.authority = value; break;
    case ':protocol': pseudo.protocol = value; break;
    default:
  }
}

/** Of a message whose head was not seen. */
export function missingHead(kind: MessageKind, fault: string): Head {
  return {
    kind, version: '2', method: kind === 'request' ? 'UNKNOWN' : '', target: '', status: 0, statusText: '',
    headers: Object.create(null) as Head['headers'], list: [], authority: null, protocol: null, length: NO_LENGTH, flags: [], fault,
  };
}

/** Without pseudo-header fields, which have places of their own. */
export function listOf(fields: readonly Field[]): HeaderList {
  return fields.filter(({ name }) => name?.startsWith(':') !== true).map(({ name, value }) => [name, value] as const);
}
