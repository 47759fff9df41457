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
import { createChunkLines, type ChunkEvent, type WriteChunk } from './chunk-lines.ts';
import type { Event } from './event.ts';
import { quote, stringify } from './json-text.ts';
import { createLineWriter, type LineWriter } from './line-writer.ts';

/** The line of one event, without its newline. */
export function toLine(event: Event): string {
  return encodeBatch([event]).toString('utf8').slice(0, -1);
}

/** Lines of events, each with its newline, as UTF-8. */
export interface Encoder {
  /** Reads the event now: nobody need keep it. */
  add(event: Event): void;
  /** Those added since the last call. */
  finish(): Buffer;
}

/** For one batch after another: they share a buffer. */
export function createEncoder(): Encoder {
  const writer = createLineWriter();
  const writeChunk = createChunkLines();
  return { add: (event) => writeEvent(writer, writeChunk, event), finish: () => writer.finish() };
}

export function encodeBatch(events: readonly Event[]): Buffer {
  const encoder = createEncoder();
  for (const event of events) encoder.add(event);
  return encoder.finish();
}

function writeEvent(writer: LineWriter, writeChunk: WriteChunk, event: Event): void {
  if (isChunk(event)) {
    writeChunk(writer, event);
    return;
  }
  const { timestamp, source, pid, comm, data, id, process, session } = event;
  writer.text(`{"timestamp":${timestamp},"source":"${source}","pid":${pid},"comm":${quote(comm)},"data":${stringify(data)},`);
  writer.text(`"id":${quote(id)},"process":${nullable(process)},"session":${nullable(session)}}\n`);
}

function isChunk(event: Event): event is ChunkEvent {
  return event.source === 'stdio' || ((event.source === 'tls' || event.source === 'net') && event.data.event === 'DATA');
}

function nullable(text: string | null): string {
  return text === null ? 'null' : quote(text);
}
