/** Records that carry payload: TLS and stdio. The hot path of the program. */
import type { Direction, StdioData, StdioEvent, TlsEvent, TlsLibrary } from '../event.ts';
import type { Identity } from '../identity.ts';
import { LIMITS } from '../limits.ts';
import type { BootClock } from '../time.ts';
import type { RecordView } from './record.ts';
import { DIRECTION, HEADER, RECORD_FLAG, SIZE, STDIO, TLS, TLS_CLOSE, TLS_LIBRARY } from './layout.ts';
import type { Descriptor } from './process-table.ts';
import { targetText, type ReadPath } from './target.ts';

interface Context {
  readonly clock: BootClock;
  readonly identity: Identity;
  readonly readPath: ReadPath;
}

/** Each returns null when the record's own lengths contradict its size or its values are unknown. */
export interface IoDecoder {
  stdio(record: RecordView): StdioEvent | null;
  tls(record: RecordView): TlsEvent | null;
  tlsClose(record: RecordView): TlsEvent;
}

export function createIoDecoder({ clock, identity, readPath }: Context): IoDecoder {
  const connections = createConnectionNames(identity);

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

  function tls(record: RecordView): TlsEvent | null {
    const { batch, view, offset, size, process } = record;
    const len = view.getUint32(offset + TLS.len, true);
    const direction = directionOf(view.getUint8(offset + TLS.direction));
    const library = LIBRARIES[view.getUint8(offset + TLS.library)];
    if (SIZE.tls_data + len > size || direction === null || library === undefined) return null;
    const flags = view.getUint16(offset + HEADER.flags, true);
    const start = offset + SIZE.tls_data;
    const partOffset = view.getUint32(offset + TLS.offset, true);
    const callPosition = u64(view, offset + TLS.position);
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'tls',
      pid: process.pid,
      comm: process.comm,
      data: {
        event: 'DATA',
        connection: connections.nameOf(view, offset + TLS.connection),
        direction,
        position: callPosition + partOffset,
        len,
        total: view.getUint32(offset + TLS.total, true),
        offset: partOffset,
        payload: batch.subarray(start, start + len),
        truncated: (flags & RECORD_FLAG.RECORD_TRUNCATED) !== 0,
        fault: (flags & RECORD_FLAG.RECORD_READ_FAULT) !== 0,
        tid: view.getUint32(offset + HEADER.tid, true),
        library,
      },
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    };
  }

  function tlsClose({ view, offset, process }: RecordView): TlsEvent {
    return {
      timestamp: clock.toEpoch(view.getBigUint64(offset + HEADER.time_ns, true)),
      source: 'tls',
      pid: process.pid,
      comm: process.comm,
      data: { event: 'CLOSE', connection: connections.forget(view, offset + TLS_CLOSE.connection) },
      id: identity.nextId(),
      process: process.key,
      session: process.session,
    };
  }

  return { stdio, tls, tlsClose };
}

const LIBRARIES: Readonly<Record<number, TlsLibrary>> = {
  [TLS_LIBRARY.TLS_OPENSSL]: 'openssl',
  [TLS_LIBRARY.TLS_GNUTLS]: 'gnutls',
  [TLS_LIBRARY.TLS_NSS]: 'nss',
  [TLS_LIBRARY.TLS_BORINGSSL]: 'boringssl',
  [TLS_LIBRARY.TLS_RUSTLS]: 'rustls',
  [TLS_LIBRARY.TLS_GO]: 'go',
};

function directionOf(value: number): Direction | null {
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

/** Byte positions: exact up to 2^53, 9 petabytes on one connection. */
function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

interface ConnectionNames {
  nameOf(view: DataView, at: number): string;
  forget(view: DataView, at: number): string;
}

/** `<host>.<boot>.<collector>.c<number>`: unique over all runs, so that a store may join on it. */
function createConnectionNames(identity: Identity): ConnectionNames {
  const names = new Map<number, { readonly high: number; readonly name: string }>();
  const nameOf = (view: DataView, at: number): string => {
    const low = view.getUint32(at, true);
    const high = view.getUint32(at + 4, true);
    const known = names.get(low);
    if (known !== undefined && known.high === high) return known.name;
    const name = `${identity.prefix}.c${view.getBigUint64(at, true)}`;
    if (names.size >= LIMITS.connectionNames) names.clear();
    names.set(low, { high, name });
    return name;
  };
  return {
    nameOf,
    forget(view, at) {
      const name = nameOf(view, at);
      names.delete(view.getUint32(at, true));
      return name;
    },
  };
}
