/** One readable line per event: time, source, who, and a sentence. Pure. */
import {
  assertUnreachable, type Endpoint, type Errno, type Event, type FileData, type HttpData, type McpData, type NetChunk, type NetData, type ProcessData,
  type Resettable, type SocketAddress, type Source, type StdioData, type SystemData, type TlsChunk, type TlsData, type WebsocketData,
} from '../event.ts';
import { toDate } from '../time.ts';
import { escapeText, fitColumns, formatBytes, formatDuration, quotePayload } from './text.ts';

export interface LineStyle {
  readonly colour: boolean;
  /** Width of the terminal; null where lines may be of any length. */
  readonly columns: number | null;
}

/** SGR codes: distinct on dark and light grounds. */
const COLOURS: Readonly<Record<Source, string>> = {
  process: '32', file: '33', net: '94', tls: '90', signal: '31', readline: '96', stdio: '36', http: '35', body: '35', sse: '34', websocket: '34', mcp: '35', system: '32', probe: '90', loss: '31', log: '33',
};
const BADGE_WIDTH = 7;
/** Characters of free text in a line without a width. */
const EXCERPT = 160;

export function describeLine(event: Event, style: LineStyle): string {
  const badge = event.source.padEnd(BADGE_WIDTH);
  const start = `${clock(event)} `;
  const who = event.pid === 0 ? '' : `${event.pid} ${escapeText(event.comm)}  `;
  const rest = ` ${who}${describe(event)}`;
  const fitted = style.columns === null ? rest : fitColumns(rest, Math.max(style.columns - start.length - badge.length, 20));
  return start + (style.colour ? `\x1b[${COLOURS[event.source]}m${badge}\x1b[0m` : badge) + fitted;
}

/** The sentence alone, safe to print. */
export function describe(event: Event): string {
  switch (event.source) {
    case 'process': return describeProcess(event.data);
    case 'tls': return describeTls(event.data);
    case 'file': return describeFile(event.data);
    case 'net': return describeNet(event.data);
    case 'signal': {
      const { signal, sender_pid, sender_comm, target_pid, target_comm, outcome, error } = event.data;
      const sender = sender_pid === null ? 'the kernel' : `${sender_pid} ${sender_comm ?? ''}`;
      const unusual = outcome === 'delivered' || outcome === 'failed' ? '' : ` ${outcome}`;
      return escapeText(`${signal} from ${sender} to ${target_pid} ${target_comm}${unusual}${failure(error)}`);
    }
    case 'readline': return `"${excerpt(event.data.line)}"${event.data.truncated ? ' truncated' : ''}`;
    case 'stdio': return describeStdio(event.data);
    case 'http': return describeHttp(event.data);
    case 'body': {
      const { side, url, index, offset, body } = event.data;
      return `${side}${index === undefined ? '' : ` #${index}`} of ${escapeText(url)} from byte ${offset} "${excerpt(body)}"`;
    }
    case 'sse': return `${escapeText(event.data.event)} #${event.data.index} "${excerpt(event.data.data)}"`;
    case 'websocket': return describeWebsocket(event.data);
    case 'mcp': return describeMcp(event.data);
    case 'system': return describeSystem(event.data);
    case 'probe': {
      const { status, subject, library, path, method, reason } = event.data;
      if (subject === 'io_uring') return escapeText(reason ?? path);
      if (status === 'unseen') return escapeText(`no TLS plaintext: ${reason ?? ''}`);
      const how = [method, reason].filter((part) => part !== null).join(', ');
      return escapeText(`${status} ${library ?? subject ?? 'TLS'} in ${path}${how === '' ? '' : ` (${how})`}`);
    }
    case 'loss': {
      const { lost, of, stage, cause, bytes, cpus = [] } = event.data;
      const where = cpus.length === 0 ? '' : ` on cpu ${cpus.map(({ cpu }) => cpu).join(', ')}`;
      return escapeText(`lost ${lost} ${of}${bytes > 0 ? ` with ${formatBytes(bytes)}` : ''} in ${stage}${where}: ${cause}`);
    }
    case 'log': return escapeText(`${event.data.level}: ${event.data.message}`);
    default: return assertUnreachable(event);
  }
}

function clock(event: Event): string {
  const date = toDate(event.timestamp);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function describeProcess(data: ProcessData): string {
  switch (data.event) {
    case 'FORK': return `fork of ${data.ppid}`;
    case 'EXEC': return `${data.existing ? 'running' : 'exec'} ${escapeText(commandLine(data.filename, data.argv))}`;
    case 'EXIT': {
      const end = data.signal === null ? `exit ${data.exit_code ?? '?'}` : `killed by ${data.signal}`;
      return `${end} after ${formatDuration(data.duration_ms)}${data.core_dumped ? ', core dumped' : ''}`;
    }
    default: return assertUnreachable(data);
  }
}

/** The file that ran, then the arguments, quoted where a shell would need it. */
function commandLine(filename: string, argv: readonly string[]): string {
  const words = [filename, ...argv.slice(1)].slice(0, 64);
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.slice(0, 1024)}'`)).join(' ').slice(0, 4096);
}

function describeSystem({ event, processes, cpu_percent, rss_bytes, threads, over }: SystemData): string {
  const whose = event === 'TREE' && processes > 1 ? `${processes} processes, ` : '';
  const much = over.length === 0 ? '' : ` over the threshold of ${over.join(' and ')}`;
  return `${whose}${cpu_percent} % of a processor, ${formatBytes(rss_bytes)} in memory, ${threads} thread${threads === 1 ? '' : 's'}${much}`;
}

function describeTls(data: TlsData): string {
  switch (data.event) {
    case 'CLOSE': return `close ${escapeText(data.connection)}${resetText(data)}`;
    case 'ENDPOINT': return `${escapeText(data.connection)} is ${endpointText(data.endpoint)} (${data.evidence})`;
    case 'HANDSHAKE': {
      const whom = data.server_name === null ? '' : ` with ${escapeText(data.server_name)}`;
      const where = data.endpoint === null ? '' : ` at ${endpointText(data.endpoint)}`;
      return `handshake ${data.ok ? 'done' : 'failed'} in ${formatDuration(data.latency_ms)}${whom}${where}`;
    }
    case 'DATA': return describeChunk(data);
    default: return assertUnreachable(data);
  }
}

function describeFile(data: FileData): string {
  if (data.event === 'IO') {
    const parts = [
      data.read_calls === 0 ? '' : `read ${formatBytes(data.read_bytes)} in ${data.read_calls}`,
      data.write_calls === 0 ? '' : `wrote ${formatBytes(data.written_bytes)} in ${data.write_calls}`,
    ];
    return `${parts.filter((part) => part !== '').join(', ')} ${escapeText(data.path)}`;
  }
  const target = data.target === null ? '' : ` -> ${data.target}`;
  const times = data.count === 1 ? '' : ` ${data.count} times`;
  const flags = data.flags.length === 0 ? '' : ` ${data.flags.join(',')}`;
  return escapeText(`${data.event.toLowerCase()} ${data.path}${target}${flags}${times}${failure(data.error)}`);
}

function describeNet(data: NetData): string {
  switch (data.event) {
    case 'DNS': {
      const found = data.answers.map(({ value }) => value).join(' ');
      return escapeText(`${data.kind} ${data.type} ${data.name}${data.kind === 'query' ? '' : ` ${data.code ?? ''} ${found}`}`);
    }
    case 'HELLO': return `TLS ${data.existing ? 'from before the trace' : `${data.role === 'server' ? 'asked for' : 'to'} ${escapeText(data.server_name ?? '?')}`} at ${endpointText(data.endpoint)}`;
    case 'DATA': return describeChunk(data);
    case 'END': return `end of ${escapeText(data.connection)}${resetText(data)}`;
    case 'PROTOCOL': return `speaks ${data.speaks}${data.tls ? ' over TLS' : ''}${data.endpoint === null ? '' : ` at ${endpointText(data.endpoint)}`}`;
    default: {
      const host = data.host === null ? '' : ` (${escapeText(data.host)})`;
      const bytes = data.event === 'CLOSE' ? `, ${formatBytes(data.written_bytes ?? 0)} out, ${formatBytes(data.read_bytes ?? 0)} in` : '';
      const time = data.duration_ms === null ? '' : ` ${formatDuration(data.duration_ms)}`;
      return `${data.event.toLowerCase()} ${data.protocol}${data.speaks === null ? '' : ` ${data.speaks}`} ${endpointText(data.endpoint)}${host}${time}${bytes}${resetText(data)}${failure(data.error)}`;
    }
  }
}

function resetText({ reset }: Resettable): string {
  if (reset === undefined) return '';
  return reset.by === 'peer' ? ', reset by its peer' : ', reset by the program';
}

function endpointText({ local, remote }: Endpoint): string {
  return escapeText(`${addressText(local)} -> ${addressText(remote)}`);
}

function addressText({ address, port }: SocketAddress): string {
  const name = address === '' ? '*' : address;
  if (port === null) return name;
  return name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`;
}

function failure(error: Errno): string {
  return error === null ? '' : ` failed: ${error}`;
}

function describeChunk(data: TlsChunk | NetChunk): string {
  const withheld = data.withheld === undefined ? '' : `, ${formatBytes(data.withheld)} withheld`;
  return `${data.direction} ${formatBytes(data.len)}${withheld} ${quotePayload(data.payload, EXCERPT)}${data.truncated ? ' truncated' : ''}`;
}

function describeStdio(data: StdioData): string {
  const usual = data.role === 'stdin' ? 'read' : 'write';
  const where = data.role === 'other' ? `fd ${data.fd} ${escapeText(data.target)}` : data.role;
  const direction = data.direction === usual && data.role !== 'other' ? '' : ` ${data.direction}`;
  const peer = data.peers?.[0];
  const other = peer === undefined ? '' : ` ${data.direction === 'read' ? 'from' : 'to'} ${peer.pid} ${escapeText(peer.comm)}`;
  const withheld = data.withheld === undefined ? '' : `, ${formatBytes(data.withheld)} left out`;
  return `${where}${direction}${other} ${formatBytes(data.len)}${withheld} ${quotePayload(data.payload, EXCERPT)}${data.truncated ? ' truncated' : ''}`;
}

function describeHttp(data: HttpData): string {
  const parts = [
    escapeText(data.method),
    escapeText(data.url),
    data.status === null ? 'no response' : String(data.status),
    data.latency_ms === null ? '' : formatDuration(data.latency_ms),
    `${formatBytes(data.request_body_bytes)}→${formatBytes(data.response_body_bytes)}`,
    data.sse_events === null ? '' : `${data.sse_events} SSE events`,
    data.state === 'complete' ? '' : `(${data.state}${data.reason === null ? '' : `: ${escapeText(data.reason)}`})`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function describeWebsocket(data: WebsocketData): string {
  const { body_encoding: encoding, body, close_code, close_reason } = data;
  const parts = [
    data.direction,
    data.opcode ?? 'end',
    close_code === null ? '' : `${close_code} ${escapeText(close_reason ?? '')}`.trimEnd(),
    formatBytes(data.compressed ? data.decoded_bytes : data.bytes),
    body === null ? '' : quotePayload(Buffer.from(body.slice(0, 2 * EXCERPT), encoding), EXCERPT),
    data.truncated ? 'truncated' : '',
    data.state === 'complete' ? '' : `(${data.state}${data.reason === null ? '' : `: ${escapeText(data.reason)}`})`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function describeMcp(data: McpData): string {
  const parts = [
    data.kind === 'call' ? '' : data.kind,
    data.peer === null ? '' : `${data.role === 'client' ? 'to' : 'from'} ${data.peer.pid} ${escapeText(data.peer.comm)}`,
    data.method === null ? '' : escapeText(data.method),
    data.id === null ? '' : `#${escapeText(String(data.id))}`,
    data.params === null ? '' : excerpt(data.params),
    data.result === null ? '' : `→ ${excerpt(data.result)}`,
    data.error === null ? '' : ['→ error', data.error.code ?? '', excerpt(data.error.message)].filter((part) => part !== '').join(' '),
    data.latency_ms === null ? '' : formatDuration(data.latency_ms),
    data.state === 'complete' ? '' : `(${data.state}${data.reason === null ? '' : `: ${escapeText(data.reason)}`})`,
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function excerpt(text: string): string {
  return escapeText(text.slice(0, EXCERPT));
}
