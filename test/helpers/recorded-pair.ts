/** Two ends of a connection without a socket, for programs of Node's own protocols; what the first writes and reads is recorded. */
import { Duplex } from 'node:stream';
import type { Direction } from '../../src/event.ts';

export interface TrafficRecord {
  readonly connection: string;
  readonly direction: Direction;
  readonly bytes: Buffer;
  readonly position: number;
}

export interface TrafficOptions {
  readonly connections: number;
  readonly requestsPerConnection: number;
}

type OnBytes = (direction: Direction, bytes: Buffer, position: number) => void;

/** Two ends of one connection; what the first writes and reads is told. */
export function pair(onBytes: OnBytes): readonly [Duplex, Duplex] {
  const near: Duplex = end('write', () => far, onBytes);
  const far: Duplex = end('read', () => near, onBytes);
  return [near, far];
}

function end(direction: Direction, other: () => Duplex, onBytes: OnBytes): Duplex {
  let position = 0;
  function send(bytes: Buffer, done: () => void): void {
    // What is written meanwhile goes together, as over TLS; and the other end must not be in the middle of its own work.
    setImmediate(() => {
      onBytes(direction, bytes, position);
      position += bytes.length;
      // A copy: who reads them may change them in place, as `ws` does.
      other().push(Buffer.from(bytes));
      done();
    });
  }
  return new Duplex({
    read() {},
    write(bytes: Buffer, _encoding, done) {
      send(Buffer.from(bytes), done);
    },
    writev(chunks, done) {
      send(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done);
    },
    final(done) {
      other().push(null);
      done();
    },
  });
}
