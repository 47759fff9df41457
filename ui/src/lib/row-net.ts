/** What a row says of a network event: with whom, by name where it is known, and how it went. */
import { formatBytes, formatDuration } from './format.ts';
import { type Data, flag, number, numberOrNull, records, text, textOrNull, texts } from './read.ts';
import type { Summary } from './row.ts';

export function summariseNet(data: Data): Summary {
  const kind = text(data, 'event');
  switch (kind) {
    case 'DNS': return summariseDns(data);
    case 'HELLO': return {
      kind, title: `TLS ${flag(data, 'existing') ? 'from before the trace, ' : ''}${text(data, 'role') === 'server' ? 'asked for' : 'to'} ${textOrNull(data, 'server_name') ?? remoteOf(data)}`,
      note: [remoteOf(data), texts(data, 'alpn').join(' ')].filter((part) => part !== '').join(' · '),
    };
    case 'DATA': return {
      kind: text(data, 'direction'), title: `${text(data, 'direction')} ${formatBytes(number(data, 'len'))} without TLS`, note: remoteOf(data),
      tone: flag(data, 'truncated') || flag(data, 'fault') ? 'warn' : 'plain', bytes: number(data, 'len'),
    };
    case 'PROTOCOL': return { kind, title: `speaks ${text(data, 'speaks')}${flag(data, 'tls') ? ' over TLS' : ''}`, note: remoteOf(data) };
    case 'END': return { kind, title: `end of ${text(data, 'connection')}`, note: resetOf(data) };
    default: return summariseSocket(kind, data);
  }
}

function summariseSocket(kind: string, data: Data): Summary {
  const error = textOrNull(data, 'error');
  const host = textOrNull(data, 'host');
  const durationMs = numberOrNull(data, 'duration_ms');
  const read = number(data, 'read_bytes');
  const written = number(data, 'written_bytes');
  const here = kind === 'BIND' || kind === 'LISTEN';
  const address = here ? addressText(endOf(data, 'local')) : remoteOf(data);
  return {
    kind,
    title: host === null || here ? address : `${host} ${address}`,
    note: [
      error ?? '', text(data, 'protocol'), durationMs === null ? '' : formatDuration(durationMs * 1e6),
      textOrNull(data, 'speaks') ?? '',
      kind === 'CLOSE' ? `${formatBytes(written)} out, ${formatBytes(read)} in` : '', resetOf(data),
    ].filter((part) => part !== '').join(' · '),
    tone: error === null && resetOf(data) === '' ? 'plain' : 'warn',
    bytes: kind === 'CLOSE' ? read + written : 0,
  };
}

/** Who reset the connection, or nothing where it was closed. */
export function resetOf(data: Data): string {
  const reset = data['reset'];
  if (typeof reset !== 'object' || reset === null) return '';
  return text(reset as Data, 'by') === 'peer' ? 'reset by its peer' : 'reset by the program';
}

function summariseDns(data: Data): Summary {
  const code = textOrNull(data, 'code');
  const found = records(data, 'answers').map((answer) => text(answer, 'value')).join(' ');
  const failed = code !== null && code !== 'NOERROR';
  return {
    kind: 'DNS',
    title: `${text(data, 'name')} ${text(data, 'type')}${text(data, 'kind') === 'query' ? '?' : ` ${failed ? code : found}`}`,
    note: addressText(data['server']),
    tone: failed ? 'warn' : 'plain',
  };
}

/** The far end of an event's or an exchange's socket, or nothing. */
export function remoteOf(data: Data): string {
  return addressText(endOf(data, 'remote'));
}

function endOf(data: Data, end: 'local' | 'remote'): unknown {
  const endpoint = data['endpoint'];
  return typeof endpoint === 'object' && endpoint !== null ? (endpoint as Data)[end] : undefined;
}

function addressText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return '';
  const address = text(value as Data, 'address');
  const port = numberOrNull(value as Data, 'port');
  if (port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
