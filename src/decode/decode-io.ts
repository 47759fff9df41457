/** Records of stdio. With those of TLS the hot path of the program. */
import type { Direction, StdioData, StdioEvent } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import type { BootClock } from '../time.ts';
import type { RecordView } from './record.ts';
import { DIRECTION, HEADER, RECORD_FLAG, SIZE, STDIO } from './layout.ts';
import type { Descriptor } from './process-table.ts';
import { targetText, type ReadPath } from './target.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly readPath: ReadPath;
}

export interface IoDecoder {
  /** null when the record's own lengths contradict its size or its values are unknown. */
  stdio(record: RecordView): StdioEvent | null;
}

export function createIoDecoder({ clock, identity, readPath }: Context): IoDecoder {
  function stdio(record: RecordView): StdioEvent | null {
    const { batch, view, offset, size, process } = record;
    const len = view.getUint32(offset + STDIO.len, true);
    const direction = directionOf(view.getUint8(offset + STDIO.direction));
    if (SIZE.stdio_data + len > size || direction === null) return null;
    const flags = view.getUint16(offset + HEADER.flags, true);
    const start = offset + SIZE.stdio_data;
    const fd = view.getInt32(offset + STDIO.fd, true);
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'stdio',
      pid: process.pid,
      comm: process.comm,
      data: {
        direction,
        len,
        total: view.getUint32(offset + STDIO.total, true),
        offset: view.getUint32(offset + STDIO.offset, true),
        payload: batch.subarray(start, start + len),
        truncated: (flags & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
        fault: (flags & RECORD_FLAG.RECORD_READ_FAULT) !== 0,
        tid: view.getUint32(offset + HEADER.tid, true),
        fd,
        role: roleOf(fd),
        target: targetOf(record, fd),
      },
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    };
  }

  function targetOf({ view, offset, process }: RecordView, fd: number): string {
    const inodeLow = view.getUint32(offset + STDIO.inode, true);
    const inodeHigh = view.getUint32(offset + STDIO.inode + 4, true);
    const device = view.getUint32(offset + STDIO.device, true);
    const known = process.descriptors.get(fd);
    if (known !== undefined && known.inodeLow === inodeLow && known.inodeHigh === inodeHigh && known.device === device) {
      return known.text;
    }
    const inode = view.getBigUint64(offset + STDIO.inode, true);
    const mode = view.getUint32(offset + STDIO.mode, true);
    const text = targetText({ mode, inode, device }, () => readPath(process.pid, fd, inode));
    remember(process.descriptors, fd, { inodeLow, inodeHigh, device, text });
    return text;
  }

  return { stdio };
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

function remember(descriptors: Map<number, Descriptor>, fd: number, descriptor: Descriptor): void {
  if (descriptors.size >= LIMITS.descriptorsPerProcess) descriptors.clear();
  descriptors.set(fd, descriptor);
}
