/**
 * Events to their JSON form: one line each, `timestamp` first as a bare integer.
 * Files, link, API and exports speak it; `event-schema.ts` says what is in it,
 * `event-parse.ts` reads it back. Apart, because a live capture only writes: the
 * reader's schemas would cost its start some 50 ms and its memory some 10 MB.
 *
 * A payload that is valid UTF-8 is written as text, any other as base64, with
 * `payload_encoding` beside it: bytes come back as they were. Half a surrogate
 * pair in a string becomes U+FFFD, because it has no UTF-8 form.
 */
import { isUtf8 } from 'node:buffer';
import type { ChunkData, Event, StdioEvent, TlsChunk } from './event.ts';
import { createLineWriter, type LineWriter } from './line-writer.ts';
import type { EventBatch } from './sinks/sink.ts';

/** The line of one event, without its newline. */
export function toLine(event: Event): string {
  return encodeBatch([event]).toString('utf8').slice(0, -1);
}

/** The lines of many events, each with its newline, as UTF-8. */
export type Encode = (events: readonly Event[]) => Buffer;

/** For one batch after another: they share a buffer. */
export function createEncoder(): Encode {
  const writer = createLineWriter();
  return (events) => {
    const names = createNames();
    for (const event of events) writeEvent(writer, names, event);
    return writer.finish();
  };
}

export function encodeBatch(events: readonly Event[]): Buffer {
  return createEncoder()(events);
}

/** Makes the JSONL form when it is first asked for, and once. */
export function createBatch(events: readonly Event[], encode: Encode = encodeBatch): EventBatch {
  let jsonl: Buffer | undefined;
  return {
    events,
    get jsonl() {
      jsonl ??= encode(events);
      return jsonl;
    },
  };
}

/** Quoted forms of names that repeat within a batch: process keys, comms, targets. */
type Names = (name: string) => string;

function createNames(): Names {
  const quoted = new Map<string, string>();
  return (name) => {
    let text = quoted.get(name);
    if (text === undefined) quoted.set(name, (text = quote(name)));
    return text;
  };
}

function writeEvent(writer: LineWriter, names: Names, event: Event): void {
  const head = `{"timestamp":${event.timestamp},"source":"${event.source}","pid":${event.pid},"comm":${names(event.comm)},"data":`;
  const tail = `,"id":${quote(event.id)},"process":${nullable(names, event.process)},"session":${nullable(names, event.session)}}\n`;
  if (event.source === 'stdio') {
    writeChunk(writer, head + stdioFields(names, event.data), event.data, tail);
  } else if (event.source === 'tls' && event.data.event === 'DATA') {
    writeChunk(writer, head + tlsFields(names, event.data), event.data, tail);
  } else {
    writer.text(head + stringify(event.data) + tail);
  }
}

function stdioFields(names: Names, data: StdioEvent['data']): string {
  return `{"fd":${data.fd},"role":"${data.role}","target":${names(data.target)},${chunkFields(data)}`;
}

function tlsFields(names: Names, data: TlsChunk): string {
  return `{"event":"DATA","connection":${names(data.connection)},"position":${data.position},"library":"${data.library}",${chunkFields(data)}`;
}

function chunkFields(data: ChunkData): string {
  const withheld = data.withheld === undefined ? '' : `,"withheld":${data.withheld}`;
  return `"direction":"${data.direction}","len":${data.len},"total":${data.total},"offset":${data.offset}${withheld},` +
    `"truncated":${data.truncated},"fault":${data.fault},"tid":${data.tid},"payload":"`;
}

function writeChunk(writer: LineWriter, head: string, { payload }: ChunkData, tail: string): void {
  writer.text(head);
  if (isUtf8(payload)) {
    writer.escaped(payload);
    writer.text(`","payload_encoding":"utf8"}${tail}`);
  } else {
    writer.base64(payload);
    writer.text(`","payload_encoding":"base64"}${tail}`);
  }
}

const PLAIN = /^[ !#-[\]-~]*$/;

/** Names and keys are nearly always plain: testing costs a third of stringifying. */
function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : stringify(text);
}

function nullable(names: Names, text: string | null): string {
  return text === null ? 'null' : names(text);
}

/** `JSON.stringify` writes half a surrogate pair as an escape, which no UTF-8 reader can turn into text. */
function stringify(value: unknown): string {
  const json = JSON.stringify(value);
  if (!json.includes('\\ud')) return json;
  return json.replace(/\\(?:(ud[89a-f][0-9a-f]{2})|.)/g, (whole: string, half: string | undefined) => (half === undefined ? whole : '\ufffd'));
}
