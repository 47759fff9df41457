/**
 * A row: what the page keeps of an event. Enough to draw, filter and list it
 * in about 200 bytes; the inspector fetches the event itself.
 */
import type { ApiEvent } from '../../../src/hub/api.ts';
import { baseName, commandLine, formatBytes, formatDuration, oneLine } from './format.ts';
import { summariseFile } from './row-file.ts';
import { summariseMcp } from './row-mcp.ts';
import { remoteOf, resetOf, summariseNet } from './row-net.ts';
import { summariseWebsocket } from './row-websocket.ts';
import { type Data, flag, number, numberOrNull, records, text, textOrNull, texts } from './read.ts';
import type { TimeBase } from './time-base.ts';

export const ROW_SOURCES = ['process', 'http', 'body', 'sse', 'websocket', 'mcp', 'net', 'file', 'stdio', 'tls', 'signal', 'readline', 'system', 'probe', 'loss', 'log'] as const;
export type RowSource = (typeof ROW_SOURCES)[number];
export type Tone = 'plain' | 'warn' | 'error';

export interface Row {
  readonly id: string;
  readonly source: RowSource;
  /** FORK, EXEC, EXIT; the method; the SSE event's name; the stdio role; … */
  readonly kind: string;
  readonly t: number;
  /** Equal to `t` for a moment. */
  readonly end: number;
  /** Where the response began; equal to `t` where that is unknown. */
  readonly mid: number;
  readonly pid: number;
  readonly comm: string;
  readonly process: string | null;
  readonly tone: Tone;
  readonly title: string;
  readonly note: string;
  readonly bytes: number;
  readonly exchange: string | null;
  /** What the bar of an exchange says. */
  readonly http: HttpLabel | null;
  /** Kept only of events about ourselves, which are few and are explained in place, and of samples, which are drawn by what they measured. */
  readonly data: Data | null;
}

export interface HttpLabel {
  readonly host: string;
  readonly path: string;
  readonly status: number | null;
  /** Events of the stream; 0 when the reply is no stream. */
  readonly streamed: number;
}

const TITLE_CHARS = 160;
const PATH_CHARS = 80;

export interface Summary {
  readonly kind: string;
  readonly title: string;
  readonly note?: string;
  readonly tone?: Tone;
  readonly bytes?: number;
  readonly latencyMs?: number | null;
  readonly midMs?: number;
  readonly exchange?: string | null;
  readonly http?: HttpLabel;
  readonly keep?: boolean;
}

export function toRow(event: ApiEvent, base: TimeBase): Row {
  const t = base.toOffset(event.timestamp);
  const source = rowSource(event.source);
  const summary = summarise(source, event.data);
  return {
    id: event.id,
    source,
    kind: summary.kind,
    t,
    end: t + Math.max(0, summary.latencyMs ?? 0) * 1e6,
    mid: t + Math.max(0, summary.midMs ?? 0) * 1e6,
    pid: event.pid,
    comm: event.comm,
    process: event.process,
    tone: summary.tone ?? 'plain',
    title: oneLine(summary.title, TITLE_CHARS),
    note: summary.note ?? '',
    bytes: summary.bytes ?? 0,
    exchange: summary.exchange ?? null,
    http: summary.http ?? null,
    data: summary.keep === true ? event.data : null,
  };
}

/** A source that a newer hub may add is shown among the logs rather than not at all. */
function rowSource(source: string): RowSource {
  return (ROW_SOURCES as readonly string[]).includes(source) ? (source as RowSource) : 'log';
}

function summarise(source: RowSource, data: Data): Summary {
  switch (source) {
    case 'process': return summariseProcess(data);
    case 'http': return summariseHttp(data);
    case 'body': return summariseBody(data);
    case 'sse': return summariseSse(data);
    case 'websocket': return summariseWebsocket(data);
    case 'mcp': return summariseMcp(data);
    case 'net': return summariseNet(data);
    case 'file': return summariseFile(data);
    case 'stdio': return summariseStdio(data);
    case 'signal': return summariseSignal(data);
    case 'readline': return { kind: 'readline', title: text(data, 'line') };
    case 'system': return summariseSystem(data);
    case 'tls': return summariseTls(data);
    case 'probe': return summariseProbe(data);
    case 'loss': return summariseLoss(data);
    case 'log': return summariseLog(data);
  }
}

function summariseProcess(data: Data): Summary {
  const kind = text(data, 'event');
  if (kind === 'EXEC') {
    const argv = texts(data, 'argv');
    return { kind, title: argv.length > 0 ? commandLine(argv) : text(data, 'filename'), note: flag(data, 'existing') ? 'ran before the trace' : '' };
  }
  if (kind === 'EXIT') {
    const signal = textOrNull(data, 'signal');
    const code = numberOrNull(data, 'exit_code');
    const outcome = signal ?? `code ${code ?? '?'}`;
    const failed = signal !== null || (code ?? 0) !== 0;
    return {
      kind,
      title: `exit ${outcome}`,
      note: `${formatDuration(number(data, 'duration_ms') * 1e6)} · ${formatBytes(number(data, 'peak_rss_bytes'))}`,
      tone: failed ? (signal !== null ? 'error' : 'warn') : 'plain',
    };
  }
  return { kind, title: `fork from ${number(data, 'ppid')}` };
}

function summariseHttp(data: Data): Summary {
  const status = numberOrNull(data, 'status');
  const latencyMs = numberOrNull(data, 'latency_ms');
  const ttfbMs = numberOrNull(data, 'ttfb_ms');
  const state = text(data, 'state');
  const incomplete = state !== '' && state !== 'complete';
  const failed = status !== null && status >= 400;
  return {
    kind: text(data, 'method'),
    title: `${text(data, 'method')} ${text(data, 'url')}`,
    note: [status ?? 'no response', incomplete ? state : '', latencyMs === null ? '' : formatDuration(latencyMs * 1e6)]
      .filter((part) => part !== '').join(' · '),
    tone: failed ? 'error' : incomplete || status === null ? 'warn' : 'plain',
    bytes: number(data, 'request_body_bytes') + number(data, 'response_body_bytes'),
    latencyMs,
    // Time to first byte counts from the request's end; the request itself is short beside it.
    midMs: ttfbMs === null ? 0 : Math.min(ttfbMs, latencyMs ?? ttfbMs),
    exchange: textOrNull(data, 'exchange'),
    http: { ...splitUrl(text(data, 'url')), status, streamed: number(data, 'sse_events') },
  };
}

/** Host and path without the query; an address that is not absolute is all path. */
function splitUrl(url: string): { readonly host: string; readonly path: string } {
  const found = /^[a-z]+:\/\/([^/?#]*)([^?#]*)/i.exec(url);
  const path = oneLine(found === null ? url.replace(/[?#].*$/s, '') : (found[2] ?? ''), PATH_CHARS);
  return { host: found?.[1] ?? '', path: path === '' ? '/' : path };
}

function summariseSse(data: Data): Summary {
  const kind = text(data, 'event') || 'message';
  // Some services repeat the event's name in its data, where it takes the room of what is said.
  const named = `{"type":"${kind}",`;
  const said = text(data, 'data');
  const sinceMs = numberOrNull(data, 'since_request_ms');
  return {
    kind,
    title: said.startsWith(named) ? `{${said.slice(named.length)}` : said,
    note: sinceMs === null ? `#${number(data, 'index')}` : `#${number(data, 'index')} · +${formatDuration(sinceMs * 1e6)}`,
    bytes: text(data, 'data').length,
    exchange: textOrNull(data, 'exchange'),
  };
}

/** What of a long body is beside its exchange. */
function summariseBody(data: Data): Summary {
  const side = text(data, 'side');
  const bytes = number(data, 'bytes');
  const message = numberOrNull(data, 'index');
  return {
    kind: side,
    title: text(data, 'body_encoding') === 'base64' ? `${formatBytes(bytes)} of ${text(data, 'url')}` : text(data, 'body'),
    note: `${side}${message === null ? '' : ` #${message}`} from ${formatBytes(number(data, 'offset'))}`,
    bytes,
    exchange: textOrNull(data, 'exchange'),
  };
}

function summariseStdio(data: Data): Summary {
  const role = text(data, 'role');
  return {
    kind: role === 'other' || role === '' ? `fd ${number(data, 'fd')}` : role,
    title: text(data, 'payload_encoding') === 'base64' ? text(data, 'target') : text(data, 'payload'),
    note: `${formatBytes(number(data, 'total'))} · ${text(data, 'target')}`,
    tone: flag(data, 'truncated') || flag(data, 'fault') ? 'warn' : 'plain',
    bytes: number(data, 'len'),
  };
}

function summariseSignal(data: Data): Summary {
  const error = textOrNull(data, 'error');
  return {
    kind: text(data, 'signal'),
    title: `${text(data, 'sent_by') === 'kernel' ? 'from the kernel ' : ''}to ${number(data, 'target_pid')} ${text(data, 'target_comm')}`,
    note: error ?? (text(data, 'outcome') === 'delivered' ? '' : text(data, 'outcome')),
    tone: error === null ? 'plain' : 'warn',
  };
}

function summariseSystem(data: Data): Summary {
  const processes = number(data, 'processes');
  const over = texts(data, 'over');
  const whose = text(data, 'event') === 'TREE' && processes > 1 ? `${processes} processes: ` : '';
  return {
    kind: text(data, 'event'),
    title: `${whose}${number(data, 'cpu_percent')} % CPU · ${formatBytes(number(data, 'rss_bytes'))}`,
    note: over.length === 0 ? `in ${formatDuration(number(data, 'interval_ms') * 1e6)}` : `over the threshold of ${over.join(' and ')}`,
    tone: over.length === 0 ? 'plain' : 'warn',
    keep: true,
  };
}

function summariseTls(data: Data): Summary {
  const kind = text(data, 'event');
  if (kind === 'CLOSE') return { kind, title: `close ${text(data, 'connection')}`, note: resetOf(data) };
  if (kind === 'ENDPOINT') return { kind, title: `to ${remoteOf(data)}`, note: `${text(data, 'evidence')} · ${text(data, 'connection')}` };
  if (kind === 'HANDSHAKE') {
    const ok = flag(data, 'ok');
    const serverName = textOrNull(data, 'server_name');
    return {
      kind, title: `handshake ${ok ? 'done' : 'failed'}${serverName === null ? '' : ` with ${serverName}`}`, tone: ok ? 'plain' : 'error',
      note: `${formatDuration(number(data, 'latency_ms') * 1e6)} · ${text(data, 'library')}`,
    };
  }
  return {
    kind: text(data, 'direction'),
    title: `${text(data, 'direction')} ${formatBytes(number(data, 'len'))}`,
    note: `${text(data, 'library')} · ${text(data, 'connection')}`,
    tone: flag(data, 'truncated') || flag(data, 'fault') ? 'warn' : 'plain',
    bytes: number(data, 'len'),
  };
}

function summariseProbe(data: Data): Summary {
  const status = text(data, 'status');
  const reason = textOrNull(data, 'reason');
  return {
    kind: status,
    title: status === 'unseen' ? `no TLS plaintext: ${reason ?? ''}`
      : `${textOrNull(data, 'library') ?? textOrNull(data, 'subject') ?? 'TLS'} in ${baseName(text(data, 'path'))}: ${status}${reason === null ? '' : ` – ${reason}`}`,
    note: text(data, 'path'),
    tone: status === 'failed' ? 'error' : status === 'suspect' || status === 'unseen' ? 'warn' : 'plain',
    keep: true,
  };
}

function summariseLoss(data: Data): Summary {
  return {
    kind: text(data, 'stage'),
    title: `${number(data, 'lost')} lost of ${text(data, 'of')}: ${text(data, 'cause')}`,
    note: [
      number(data, 'bytes') > 0 ? formatBytes(number(data, 'bytes')) : '',
      ...records(data, 'cpus').map((one) => `cpu ${number(one, 'cpu')}: ${number(one, 'lost') > 0 ? number(one, 'lost') : formatBytes(number(one, 'bytes'))}`),
    ].filter((part) => part !== '').join(' · '),
    tone: 'error',
    bytes: number(data, 'bytes'),
    keep: true,
  };
}

function summariseLog(data: Data): Summary {
  const level = text(data, 'level');
  return {
    kind: level || 'event',
    title: text(data, 'message') || JSON.stringify(data).slice(0, TITLE_CHARS),
    tone: level === 'error' ? 'error' : level === 'warn' ? 'warn' : 'plain',
    keep: true,
  };
}
