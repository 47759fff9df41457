/**
 * Records of bpf/event.h to events: one pass over a batch, payloads as views
 * into it.
 *
 * A record that makes no sense is counted, never thrown: the size in its
 * header says where the next one starts. A size that cannot be true ends the
 * batch, because nothing after it can be found.
 */
import type { Ancestor, Event } from '../event.ts';
import type { Identity } from '../identity.ts';
import type { BootClock } from '../time.ts';
import { Counters } from '../stats.ts';
import { createFileDecoder } from './decode-file.ts';
import { createIoDecoder } from './decode-io.ts';
import { createTlsDecoder } from './decode-tls.ts';
import { decodeExec, decodeExit, decodeFork } from './decode-process.ts';
import { createNetDecoder } from './decode-net.ts';
import { decodeSignal } from './decode-signal.ts';
import { createGreetings } from './greetings.ts';
import { createSocketJoiner } from './join.ts';
import { HEADER, RECORD_FLAG, RECORD_KIND, SIZE } from './layout.ts';
import type { PeersOf } from './peer.ts';
import type { ProcessEntry, ProcessTable } from './process-table.ts';
import type { RecordView } from './record.ts';
import { createSequenceCheck } from './sequence.ts';
import type { ReadPath } from './target.ts';

export interface DecoderOptions {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly processes: ProcessTable;
  /** Asks a live process for the path of a descriptor. */
  readonly readPath: ReadPath;
  /** Who is at the other end of a descriptor; without it nobody is known. */
  readonly peersOf?: PeersOf;
  /** A process has made an io_uring: what passes it is not seen. */
  readonly onIoUring?: (process: ProcessEntry) => void;
  /** A process has another thread as its leader, which executed a program. */
  readonly onNewLeader?: (pid: number) => void;
  /** The process of this pid and those above it; without it roots have none. */
  readonly ancestorsOf?: (pid: number) => readonly Ancestor[];
  /** A running process has become a root: what it is has to be asked of /proc. */
  readonly onJoin?: (pid: number) => void;
  /** The launched command, which we held back until its first exec. */
  readonly heldPid?: () => number | null;
}

export interface Decoder {
  decode(batch: Buffer): Event[];
  /** What waits for further records of its second. Call it once a second and at the end. */
  settle(): Event[];
  /** What still waits for more, at the end of a capture. */
  flush(): Event[];
  counters(): Readonly<Record<string, number>>;
  /** Records of one cpu, whatever came of them. */
  readOf(cpu: number): number;
}

export type DecoderCounter = 'records' | 'unknown_kind' | 'malformed' | 'malformed_bytes';

export function createDecoder(options: DecoderOptions): Decoder {
  const { processes } = options;
  const counters = new Counters<DecoderCounter>(['records', 'unknown_kind', 'malformed', 'malformed_bytes']);
  const sequences = createSequenceCheck();
  const greetings = createGreetings();
  const tls = createTlsDecoder({ ...options, greetings });
  const joiner = createSocketJoiner();
  const net = createNetDecoder({ ...options, greetings });
  const files = createFileDecoder(options);
  const { ancestorsOf = () => [], onJoin = () => undefined, onIoUring = () => undefined, onNewLeader = () => undefined, heldPid = () => null, peersOf = () => [] } = options;
  const io = createIoDecoder({ ...options, peersOf });
  const context = { ...options, ancestorsOf };
  /** First exec of the held command. */
  let letGoNs: bigint | null = null;

  function decode(batch: Buffer): Event[] {
    const events: Event[] = [];
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    let offset = 0;
    let records = 0;
    while (offset < batch.length) {
      const size = offset + SIZE.record_header <= batch.length ? view.getUint32(offset + HEADER.size, true) : 0;
      if (size < SIZE.record_header || offset + size > batch.length) {
        counters.add('malformed');
        counters.add('malformed_bytes', batch.length - offset);
        break;
      }
      sequences.see(view.getUint32(offset + HEADER.sequence, true), view.getUint32(offset + HEADER.sequence + 4, true));
      const event = decodeRecord(batch, view, offset, size, events);
      if (event?.source === 'tls') joiner.take(event, events);
      else if (event !== null) events.push(event);
      records++;
      offset += size;
    }
    counters.add('records', records);
    return events;
  }

  /** null when there is no event, or when those that there are were added to `events`. */
  function decodeRecord(batch: Buffer, view: DataView, offset: number, size: number, events: Event[]): Event | null {
    const kind = view.getUint16(offset + HEADER.kind, true);
    const least = LEAST_SIZE[kind];
    if (least === undefined) {
      counters.add('unknown_kind');
      return null;
    }
    if (size < least) return malformed(size);
    const process = processes.entryAt(view, offset);
    const record: RecordView = { batch, view, offset, size, process };
    switch (kind) {
      case RECORD_KIND.RECORD_STDIO_DATA:
        return io.stdio(record) ?? malformed(size);
      case RECORD_KIND.RECORD_TLS_DATA:
        return tls.data(record) ?? malformed(size);
      case RECORD_KIND.RECORD_TLS_ENDPOINT:
        return tls.endpoint(record) ?? malformed(size);
      case RECORD_KIND.RECORD_TLS_HANDSHAKE:
        return tls.handshake(record) ?? malformed(size);
      case RECORD_KIND.RECORD_TLS_CLOSE:
        return tls.close(record);
      case RECORD_KIND.RECORD_FILE_CHANGE:
        return files.change(record, events) ? null : malformed(size);
      case RECORD_KIND.RECORD_FILE_IO:
        return files.io(record, events) ? null : malformed(size);
      case RECORD_KIND.RECORD_PROCESS_FORK:
        return decodeFork(record, context);
      case RECORD_KIND.RECORD_PROCESS_EXEC:
        if (process.pid === heldPid()) letGoNs ??= view.getBigUint64(offset + HEADER.time_ns, true);
        if ((view.getUint16(offset + HEADER.flags, true) & RECORD_FLAG.RECORD_EXEC_BY_THREAD) !== 0) onNewLeader(process.pid);
        return decodeExec(record, context) ?? malformed(size);
      case RECORD_KIND.RECORD_PROCESS_JOIN:
        onJoin(process.pid);
        return null;
      case RECORD_KIND.RECORD_PROCESS_IO_URING:
        onIoUring(process);
        return null;
      case RECORD_KIND.RECORD_SIGNAL:
        return decodeSignal(record, options) ?? malformed(size);
      case RECORD_KIND.RECORD_READLINE:
        return io.readline(record) ?? malformed(size);
      case RECORD_KIND.RECORD_NET_SOCKET:
      case RECORD_KIND.RECORD_NET_DATA:
        return net.decode(record, events) ? null : malformed(size);
      default: {
        events.push(...files.end(process));
        const event = decodeExit(record, context, process.pid === heldPid() ? letGoNs : null);
        processes.retire(process);
        return event;
      }
    }
  }

  function malformed(size: number): null {
    counters.add('malformed');
    counters.add('malformed_bytes', size);
    return null;
  }

  return {
    decode,
    flush: joiner.flush,
    settle: () => files.settle(),
    counters: () => ({
      ...counters.snapshot(), ...files.counters(), ...processes.counters(), ...tls.counters(), ...joiner.counters(), ...net.counters(), ...greetings.counters(), ...io.counters(),
      sequence_gaps: sequences.missing(),
    }),
    readOf: sequences.seenOf,
  };
}

/** What a record of each kind has at least; also the list of known kinds. */
const LEAST_SIZE: Readonly<Record<number, number>> = {
  [RECORD_KIND.RECORD_PROCESS_FORK]: SIZE.process_fork,
  [RECORD_KIND.RECORD_PROCESS_EXEC]: SIZE.process_exec,
  [RECORD_KIND.RECORD_PROCESS_EXIT]: SIZE.process_exit,
  [RECORD_KIND.RECORD_PROCESS_JOIN]: SIZE.process_join,
  [RECORD_KIND.RECORD_PROCESS_IO_URING]: SIZE.process_io_uring,
  [RECORD_KIND.RECORD_TLS_DATA]: SIZE.tls_data,
  [RECORD_KIND.RECORD_TLS_CLOSE]: SIZE.tls_close,
  [RECORD_KIND.RECORD_TLS_ENDPOINT]: SIZE.tls_endpoint,
  [RECORD_KIND.RECORD_TLS_HANDSHAKE]: SIZE.tls_handshake,
  [RECORD_KIND.RECORD_STDIO_DATA]: SIZE.stdio_data,
  [RECORD_KIND.RECORD_FILE_CHANGE]: SIZE.file_change,
  [RECORD_KIND.RECORD_FILE_IO]: SIZE.file_io,
  [RECORD_KIND.RECORD_NET_SOCKET]: SIZE.net_socket,
  [RECORD_KIND.RECORD_NET_DATA]: SIZE.net_data,
  [RECORD_KIND.RECORD_SIGNAL]: SIZE.signal_sent,
  [RECORD_KIND.RECORD_READLINE]: SIZE.readline_data,
};
