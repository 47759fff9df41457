/**
 * Lines of chunk events, stdio, raw tls and raw net: the bulk of a capture. What is the
 * same for every chunk of a stream (process, descriptor, direction, the keys) is
 * made into bytes once and copied from then on; that halves the cost of a line.
 */
import { isUtf8 } from 'node:buffer';
import type { NetChunk, NetEvent, StdioEvent, TlsChunk, TlsEvent } from './event.ts';
import { quote, stringify } from './json-text.ts';
import type { LineWriter } from './line-writer.ts';

export type ChunkEvent = StdioEvent | (TlsEvent & { readonly data: TlsChunk }) | (NetEvent & { readonly data: NetChunk });

export type WriteChunk = (writer: LineWriter, event: ChunkEvent) => void;

/** The bytes around what differs from chunk to chunk. */
interface Frame {
  readonly sample: ChunkEvent;
  /** From the source to `"len":`; a connection's position comes before it. */
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** Streams whose frames are kept; busier programs than that make theirs anew. */
const FRAMES = 16;

const START = bytesOf('{"timestamp":');
const POSITION = bytesOf(',"position":');
const TOTAL = bytesOf(',"total":');
const OFFSET = bytesOf(',"offset":');
const WITHHELD = bytesOf(',"withheld":');
const TID = bytesOf(',"tid":');
const PAYLOAD = bytesOf(',"payload":"');
const TEXT = bytesOf('","payload_encoding":"utf8"},"id":');
const BASE64 = bytesOf('","payload_encoding":"base64"},"id":');
/** By truncated + 2 * fault. */
const FLAGS = [[false, false], [true, false], [false, true], [true, true]]
  .map(([truncated, fault]) => bytesOf(`,"truncated":${truncated},"fault":${fault}`));

export function createChunkLines(): WriteChunk {
  const frames: Frame[] = [];
  let next = 0;

  function frameOf(event: ChunkEvent): Frame {
    for (const frame of frames) if (isSameStream(frame.sample, event)) return frame;
    const frame = createFrame(event);
    frames[next] = frame;
    next = (next + 1) % FRAMES;
    return frame;
  }

  return (writer, event) => {
    const { head, tail } = frameOf(event);
    writer.bytes(START);
    writer.time(event.timestamp);
    writer.bytes(head);
    writeRest(writer, event);
    writer.quoted(event.id);
    writer.bytes(tail);
  };
}

function writeRest(writer: LineWriter, event: ChunkEvent): void {
  const { data } = event;
  writer.integer(data.len);
  writer.bytes(TOTAL);
  writer.integer(data.total);
  writer.bytes(OFFSET);
  writer.integer(data.offset);
  if (event.source !== 'stdio') {
    writer.bytes(POSITION);
    writer.integer(event.data.position);
  }
  if (data.withheld !== undefined) {
    writer.bytes(WITHHELD);
    writer.integer(data.withheld);
  }
  if (event.source === 'stdio' && event.data.secrets !== undefined) writer.text(`,"secrets":${stringify(event.data.secrets)}`);
  writer.bytes(FLAGS[Number(data.truncated) + 2 * Number(data.fault)] as Uint8Array);
  writer.bytes(TID);
  writer.integer(data.tid);
  writer.bytes(PAYLOAD);
  if (isUtf8(data.payload)) {
    writer.escaped(data.payload);
    writer.bytes(TEXT);
  } else {
    writer.base64(data.payload);
    writer.bytes(BASE64);
  }
}

/** Names of one process are the same strings in each of its events: comparing them is comparing pointers. */
function isSameStream(a: ChunkEvent, b: ChunkEvent): boolean {
  if (a.process !== b.process || a.data.direction !== b.data.direction) return false;
  if (a.comm !== b.comm || a.session !== b.session || a.pid !== b.pid) return false;
  if (a.source === 'stdio') return b.source === 'stdio' && a.data.fd === b.data.fd && a.data.target === b.data.target && a.data.peers === b.data.peers;
  if (b.source === 'stdio' || a.source !== b.source || a.data.connection !== b.data.connection) return false;
  if (a.source === 'tls' && b.source === 'tls' && (a.data.library !== b.data.library || a.data.server_name !== b.data.server_name)) return false;
  return a.data.endpoint === b.data.endpoint;
}

function createFrame(event: ChunkEvent): Frame {
  const { source, pid, comm, data, process, session } = event;
  const own = event.source === 'stdio'
    ? `"fd":${event.data.fd},"role":"${event.data.role}","target":${quote(event.data.target)},"peer_target":${nullable(event.data.peer_target)},"peers":${stringify(event.data.peers)}`
    : `"event":"DATA","connection":${quote(event.data.connection)},${ofTls(event)}"endpoint":${stringify(event.data.endpoint)}`;
  return {
    // Without its payload, which would keep a whole batch alive.
    sample: { ...event, data: { ...data, payload: new Uint8Array() } } as ChunkEvent,
    head: bytesOf(`,"source":"${source}","pid":${pid},"comm":${quote(comm)},"data":{${own},"direction":"${data.direction}","len":`),
    tail: bytesOf(`,"process":${nullable(process)},"session":${nullable(session)}}\n`),
  };
}

/** What chunks of `tls` alone say of their connection. */
function ofTls(event: Exclude<ChunkEvent, StdioEvent>): string {
  return event.source === 'tls' ? `"library":"${event.data.library}","server_name":${nullable(event.data.server_name)},` : '';
}

function nullable(text: string | null): string {
  return text === null ? 'null' : quote(text);
}

function bytesOf(json: string): Uint8Array {
  return Buffer.from(json, 'utf8');
}
