/** Runs of the fuzz targets that need a frame around their bytes: each throws where a promise is broken. */
import { from } from 'rxjs';
import { redact } from '../../analyzers/redact.ts';
import { maskRanges } from '../../analyzers/redact/find.ts';
import { locateSecrets, rangesInText } from '../../analyzers/redact/locate.ts';
import { mcp } from '../../analyzers/mcp.ts';
import type { Expression } from '../../analyzers/where/expression.ts';
import { formatWhere } from '../../analyzers/where/explain.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import { createFrameReader, feed, finish, skip } from '../../analyzers/websocket/frame.ts';
import { beginMessage, close, createInflater, endMessage, inflate } from '../../analyzers/websocket/inflater.ts';
import type { Event, McpEvent } from '../../src/event.ts';
import { spokenIn } from '../../src/spoken.ts';
import { chunk, eventOf } from './events.ts';
import type { Random } from './random.ts';

/** Every byte is told once, in order: as payload, as missing or as unread, but for those of heads. */
export function runFrames(input: Buffer, random: Random): void {
  let told = 0;
  const tell = (start: number, end: number): void => {
    if (start < told || end < start) throw new Error(`bytes ${start} to ${end} are told after ${told}`);
    told = end;
  };
  const reader = createFrameReader({
    onFrame: () => (random(50) === 0 ? 'refused' : null),
    onPayload: (frame, { bytes, position, offset }) => {
      if (position + bytes.length > frame.position + frame.length || offset !== position - frame.position) throw new Error('payload beyond the end of its frame');
      tell(position, position + bytes.length);
    },
    onMissing: () => {},
    onFrameEnd: () => random(50) !== 0,
    onLost: () => {},
    onUnread: tell,
  }, { limitBytes: 64, fromClient: random(2) === 0, deflate: random(2) === 0 });
  for (let at = 0, position = 0; at < input.length;) {
    const bytes = input.subarray(at, at + 1 + random(60));
    // Now and then a call begins, and ends with these bytes.
    const call = { fresh: random(2) === 0, end: position + bytes.length + (random(2) === 0 ? 0 : random(60)) };
    feed(reader, bytes, position, call);
    at += bytes.length;
    position += bytes.length;
    if (told > position) throw new Error(`bytes up to ${told} are told of ${position}`);
    if (random(20) > 0) continue;
    const gap = random(4) === 0 ? Number.POSITIVE_INFINITY : 1 + random(40);
    skip(reader, position, gap, random(2) === 0 ? { callEnd: position + gap } : null);
    if (Number.isFinite(gap)) position += gap;
  }
  finish(reader);
}

const OUTPUT_BYTES = 1000;
const RATIO = 4;

/** Messages one after another: no more comes out than the limit, and the memory of the decoder is given back. */
export function runInflater(input: Buffer, random: Random): void {
  const environment = {
    limits: { codingsPerBody: 1, codingRatio: RATIO, codingOutputBytes: OUTPUT_BYTES }, counters: { add() {} },
    decoders: { limit: random(10) === 0 ? 0 : 1_000_000, used: 0 },
  };
  const inflater = createInflater(environment, random(2) === 0);
  for (let at = 0; at < input.length;) {
    const message = input.subarray(at, at + 1 + random(2 * input.length));
    let output = 0;
    const take = (bytes: Buffer): void => {
      output += bytes.length;
    };
    beginMessage(inflater);
    for (let start = 0; start < message.length; start += 100) inflate(inflater, message.subarray(start, start + 100), take);
    if (random(20) === 0) continue;
    endMessage(inflater, take);
    // Input counts in steps of 4096.
    if (output > Math.max(OUTPUT_BYTES, RATIO * (message.length + 4096))) throw new Error(`${message.length} bytes became ${output}`);
    at += message.length;
  }
  close(inflater);
  if (environment.decoders.used !== 0) throw new Error('memory of a decoder was not given back');
}

const MESSAGE_BYTES = 300;
const TEXT_CHARACTERS = 40;
const CALLS = 3;

/** As calls of some processes on some pipes: each event leaves once, and no text is over its limit. */
export function runMcp(input: Buffer, random: Random): void {
  const events: Event[] = [];
  for (let at = 0; at < input.length;) {
    const bytes = input.subarray(at, at + 1 + random(200));
    const pid = 1 + random(3);
    const target = ['pipe:[7]', 'pipe:[8]', 'socket:[9]', '/dev/pts/0'][random(4)] ?? '';
    const direction = random(2) === 0 ? 'read' : 'write';
    events.push({
      ...eventOf('stdio', {
        fd: random(3), role: 'stdout', target, peer_target: target, peers: [], ...chunk(bytes), direction, offset: random(10) === 0 ? random(50) : 0,
        fault: random(30) === 0, truncated: random(30) === 0, total: bytes.length + (random(10) === 0 ? 10 : 0),
      }, events.length), pid, process: `p${pid}`,
    });
    if (random(30) === 0) events.push({ ...EXIT, pid, process: `p${pid}` });
    at += bytes.length;
  }
  const out: Event[] = [];
  const limits = { mcpStreams: 3, mcpMessageBytes: MESSAGE_BYTES, mcpCallsPerProcess: CALLS, mcpPipesPerProcess: 2, mcpTextCharacters: TEXT_CHARACTERS };
  from(events).pipe(mcp({ nextId: () => 'e', limits, locateSecrets: random(2) === 0 ? locateSecrets : undefined })).subscribe((event) => out.push(event));
  const made = out.filter((event): event is McpEvent => event.source === 'mcp');
  if (out.length - made.length !== events.length) throw new Error(`${events.length} events came and ${out.length - made.length} left`);
  for (const { data } of made) {
    if ((data.params?.length ?? 0) > TEXT_CHARACTERS || (data.result?.length ?? 0) > TEXT_CHARACTERS) throw new Error('a text is over the limit');
  }
}

const EXIT = eventOf('process', {
  event: 'EXIT', ppid: 1, exit_code: 0, signal: null, core_dumped: false, duration_ms: 1, peak_rss_bytes: 0, peak_rss_upper_bound: false,
  user_ms: 0, system_ms: 0, read_bytes: 0, written_bytes: 0,
});

/** Ranges are in order, without overlap, and inside; a mask keeps the length. */
export function runSecrets(input: Buffer): void {
  for (const part of ['head', 'body'] as const) expectRanges(locateSecrets(part, input), input.length);
  const text = input.toString('utf8');
  const ranges = rangesInText(text);
  expectRanges(ranges, text.length);
  if (maskRanges(text, ranges).length !== text.length) throw new Error('a mask changes the length');
  const events: readonly Event[] = [
    eventOf('stdio', { fd: 1, role: 'stdout', target: 'pipe:[1]', peer_target: 'pipe:[1]', peers: [], ...chunk(input) }),
    eventOf('readline', { line: text, truncated: false }),
  ];
  from(events).pipe(redact({ enabled: true, fingerprint: () => 'f' })).subscribe(({ source, data }) => {
    if (source === 'stdio' && data.payload.length !== input.length) throw new Error('a masked payload has another length');
    if (source === 'readline' && data.line.length !== text.length) throw new Error('a masked line has another length');
  });
}

function expectRanges(ranges: readonly { readonly start: number; readonly end: number }[], length: number): void {
  let last = 0;
  for (const { start, end } of ranges) {
    if (start < last || end <= start || end > length) throw new Error(`range ${start} to ${end} after ${last}, of ${length}`);
    last = end;
  }
}

/** What it becomes can be read, and is the same when written again. */
export function runTranslation(expression: Expression): void {
  const text = formatWhere(expression);
  if (formatWhere(parseWhere(text)) !== text) throw new Error(`${text} is another filter when it is read`);
}

/** The first bytes of two directions; who is called which does not matter. */
export function runSpoken(input: Buffer, random: Random): void {
  const cut = random(input.length + 1);
  const [read, write] = [input.subarray(0, Math.min(cut, 8 + random(8))), input.subarray(cut, cut + random(16))];
  const isDatagram = random(2) === 0;
  if (spokenIn({ read, write, isDatagram }) !== spokenIn({ read: write, write: read, isDatagram })) throw new Error('it matters who reads');
}
