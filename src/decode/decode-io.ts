/** Records of stdio, with those of TLS the hot path of the program, and of lines that a shell read. */
import type { Direction, ReadlineEvent, StdioData, StdioEvent } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import type { BootClock } from '../time.ts';
import type { RecordView } from './record.ts';
import { DIRECTION, HEADER, READLINE, RECORD_FLAG, SIZE, STDIO } from './layout.ts';
import { endsOf, type PeersOf } from './peer.ts';
import type { Descriptor } from './process-table.ts';
import { targetText, type ReadPath } from './target.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly readPath: ReadPath;
  readonly peersOf: PeersOf;
}

export interface IoDecoder {
  /** null when the record's own lengths contradict its size or its values are unknown. */
  stdio(record: RecordView): StdioEvent | null;
  readline(record: RecordView): ReadlineEvent | null;
  counters(): Readonly<Record<string, number>>;
}

export function createIoDecoder({ clock, identity, readPath, peersOf }: Context): IoDecoder {
  const counters = new Counters(['descriptors_forgotten']);

  function stdio(record: RecordView): StdioEvent | null {
    const { batch, view, offset, size, process } = record;
    const len = view.getUint32(offset + STDIO.len, true);
    const direction = directionOf(view.getUint8(offset + STDIO.direction));
    if (SIZE.stdio_data + len > size || direction === null) return null;
    const flags = view.getUint16(offset + HEADER.flags, true);
    const start = offset + SIZE.stdio_data;
    const fd = view.getInt32(offset + STDIO.fd, true);
    const total = view.getUint32(offset + STDIO.total, true);
    const { text, ends } = targetOf(record, fd);
    const data: StdioData = {
      direction,
      len,
      total,
      offset: view.getUint32(offset + STDIO.offset, true),
      payload: batch.subarray(start, start + len),
      truncated: (flags & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
      fault: (flags & RECORD_FLAG.RECORD_READ_FAULT) !== 0,
      tid: view.getUint32(offset + HEADER.tid, true),
      fd,
      role: roleOf(fd),
      target: text,
      peer_target: ends?.peerTarget ?? null,
      peers: ends === null ? null : peersOf({ process, fd, direction, ends }),
    };
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'stdio',
      pid: process.pid,
      comm: process.comm,
      // Without bytes they went from one descriptor to another within the kernel.
      data: len === 0 ? { ...data, withheld: total } : data,
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    };
  }

  function targetOf({ view, offset, process }: RecordView, fd: number): Descriptor {
    const inodeLow = view.getUint32(offset + STDIO.inode, true);
    const inodeHigh = view.getUint32(offset + STDIO.inode + 4, true);
    const device = view.getUint32(offset + STDIO.device, true);
    const peer = view.getUint32(offset + STDIO.peer, true);
    const known = process.descriptors.get(fd);
    if (
      known !== undefined && known.inodeLow === inodeLow && known.inodeHigh === inodeHigh && known.device === device && known.peer === peer
    ) {
      return known;
    }
    const inode = view.getBigUint64(offset + STDIO.inode, true);
    const mode = view.getUint32(offset + STDIO.mode, true);
    const text = targetText({ mode, inode, device }, () => readPath(process.pid, fd, inode));
    const ends = endsOf({ mode, inode, device, peer, text });
    const descriptor = { inodeLow, inodeHigh, device, peer, text, ends };
    remember(process.descriptors, fd, descriptor);
    return descriptor;
  }

  function remember(descriptors: Map<number, Descriptor>, fd: number, descriptor: Descriptor): void {
    if (descriptors.size >= LIMITS.descriptorsPerProcess) {
      counters.add('descriptors_forgotten', descriptors.size);
      descriptors.clear();
    }
    descriptors.set(fd, descriptor);
  }

  function readline({ batch, view, offset, size, process }: RecordView): ReadlineEvent | null {
    const len = view.getUint32(offset + READLINE.len, true);
    if (SIZE.readline_data + len > size) return null;
    const start = offset + SIZE.readline_data;
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'readline',
      pid: process.pid,
      comm: process.comm,
      data: {
        line: batch.toString('utf8', start, start + len),
        truncated: (view.getUint16(offset + HEADER.flags, true) & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
      },
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    };
  }

  return { stdio, readline, counters: () => counters.snapshot() };
}

export function directionOf(value: number): Direction | null {
  if (value === DIRECTION.IO_READ) return 'read';
  return value === DIRECTION.IO_WRITE ? 'write' : null;
}

function roleOf(fd: number): StdioData['role'] {
  if (fd === 1) return 'stdout';
  if (fd === 0) return 'stdin';
  return fd === 2 ? 'stderr' : 'other';
}
