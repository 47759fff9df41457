/** A message's head as the fields of an HTTP/2 header block tell it (RFC 9113 §8.3). */
import type { HeaderList } from '../../src/event.ts';
import { type Head, NO_LENGTH } from '../http1/head.ts';
import type { MessageKind } from '../http1/start-line.ts';
import type { Field } from '../http2/table.ts';

const UNKNOWN_FIELDS = 'header fields were sent before the capture or in a gap';

/** What the fields make of the message: null when they do not tell. */
export function kindOf(fields: readonly Field[]): MessageKind | null {
  for (const { name } of fields) {
    if (name === ':status') return 'response';
    if (name === ':method' || name === ':path' || name === ':scheme' || name === ':authority') return 'request';
  }
  return null;
}

export function headOf(kind: MessageKind, fields: readonly Field[]): Head {
  const pseudo = new Map<string, string>();
  const headers = Object.create(null) as Record<string, string[]>;
  for (const { name, value } of fields) {
    if (name === null || value === null) continue;
    if (name.startsWith(':')) pseudo.set(name, value);
    else (headers[name] ??= []).push(value);
  }
  const method = pseudo.get(':method') ?? '';
  const target = pseudo.get(':path') ?? (method === 'CONNECT' ? pseudo.get(':authority') : undefined) ?? '';
  const status = Number(/^[1-9][0-9]{2}$/.exec(pseudo.get(':status') ?? '')?.[0] ?? 0);
  const list = listOf(fields);
  const whole = kind === 'response' ? status > 0 : method !== '' && target !== '';
  const unknown = list.some(([name]) => name === null);
  return {
    kind, version: '2', method: kind === 'request' && method === '' ? 'UNKNOWN' : method, target, status, statusText: '', headers, list,
    authority: pseudo.get(':authority') ?? null, protocol: pseudo.get(':protocol') ?? null, length: NO_LENGTH, flags: [],
    fault: whole ? null : unknown ? UNKNOWN_FIELDS : `${kind} without its ${kind === 'request' ? 'method or path' : 'status'}`,
  };
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
