/**
 * Records of bpf/event.h to events: one pass over a batch, payloads as views
 * into it.
 *
 * A record that makes no sense is counted, never thrown: the size in its
 * header says where the next one starts. A size that cannot be true ends the
 * batch, because nothing after it can be found.
 */
import type { Event } from '../event.ts';
import type { Identity } from '../identity.ts';
import type { BootClock } from '../time.ts';
import { Counters } from '../stats.ts';
import { createIoDecoder } from './decode-io.ts';
import { decodeExec, decodeExit, decodeFork } from './decode-process.ts';
import { HEADER, RECORD_KIND, SIZE } from './layout.ts';
import type { ProcessTable } from './process-table.ts';
import type { RecordView } from './record.ts';
import { createSequenceCheck } from './sequence.ts';
import type { ReadPath } from './target.ts';

export interface DecoderOptions {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly processes: ProcessTable;
  /** Asks a live process for the path of a descriptor. */
  readonly readPath: ReadPath;
}

export interface Decoder {
  decode(batch: Buffer): Event[];
  counters(): Readonly<Record<string, number>>;
}

export type DecoderCounter = 'records' | 'unknown_kind' | 'malformed' | 'malformed_bytes';

export function createDecoder(options: DecoderOptions): Decoder {
  const { processes } = options;
  const counters = new Counters<DecoderCounter>(['records', 'unknown_kind', 'malformed', 'malformed_bytes']);
  const sequences = createSequenceCheck();
  const io = createIoDecoder(options);

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
      const event = decodeRecord(batch, view, offset, size);
      if (event !== null) events.push(event);
      records++;
      offset += size;
    }
    counters.add('records', records);
    return events;
  }

  function decodeRecord(batch: Buffer, view: DataView, offset: number, size: number): Event | null {
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
        return io.tls(record) ?? malformed(size);
      case RECORD_KIND.RECORD_TLS_CLOSE:
        return io.tlsClose(record);
      case RECORD_KIND.RECORD_PROCESS_FORK:
        return decodeFork(record, options);
      case RECORD_KIND.RECORD_PROCESS_EXEC:
        return decodeExec(record, options) ?? malformed(size);
      default: {
        const event = decodeExit(record, options);
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
    counters: () => ({ ...counters.snapshot(), ...processes.counters(), sequence_gaps: sequences.missing() }),
  };
}

/** What a record of each kind has at least; also the list of known kinds. */
const LEAST_SIZE: Readonly<Record<number, number>> = {
  [RECORD_KIND.RECORD_PROCESS_FORK]: SIZE.process_fork,
  [RECORD_KIND.RECORD_PROCESS_EXEC]: SIZE.process_exec,
  [RECORD_KIND.RECORD_PROCESS_EXIT]: SIZE.process_exit,
  [RECORD_KIND.RECORD_TLS_DATA]: SIZE.tls_data,
  [RECORD_KIND.RECORD_TLS_CLOSE]: SIZE.tls_close,
  [RECORD_KIND.RECORD_STDIO_DATA]: SIZE.stdio_data,
};
