/** What must be remembered of a socket between its records; most sockets need nothing. */
import type { Direction, Endpoint, NetChunk } from '../event.ts';
import { LIMITS } from '../limits.ts';

/** Bytes of one direction that are no whole message yet. */
export interface Assembly {
  bytes: Buffer;
  /** Position on the socket of the byte that must follow. */
  next: number;
}

export interface SocketMemory {
  /** Of a unix socket: its records name it only once. */
  endpoint: Endpoint | null;
  /** Chunks that came before it was clear what the socket carries. */
  undecided: NetChunk[];
  /** It was told what it speaks. */
  isNamed: boolean;
  readonly assembly: Readonly<Record<Direction, Assembly>>;
}

export interface SocketTable {
  known(number: bigint): SocketMemory | undefined;
  /** Made where there is none. */
  memory(number: bigint): SocketMemory;
  /** The undecided chunks, which are then forgotten. */
  takeUndecided(number: bigint): readonly NetChunk[];
  forget(number: bigint): void;
}

export function createSocketTable(onForgotten: () => void, limit: number = LIMITS.netSockets): SocketTable {
  const table = new Map<bigint, SocketMemory>();
  return {
    known: (number) => table.get(number),
    memory(number) {
      const known = table.get(number);
      if (known !== undefined) return known;
      if (table.size >= limit) {
        table.delete(table.keys().next().value as bigint);
        onForgotten();
      }
      const memory = { endpoint: null, undecided: [], isNamed: false, assembly: { read: emptyAssembly(), write: emptyAssembly() } };
      table.set(number, memory);
      return memory;
    },
    takeUndecided(number) {
      const memory = table.get(number);
      return memory === undefined ? [] : memory.undecided.splice(0);
    },
    forget: (number) => void table.delete(number),
  };
}

/** Adds a chunk to what waits; false when bytes before it are missing: it then begins anew. */
export function assemble(assembly: Assembly, { position, payload }: NetChunk): boolean {
  const follows = assembly.bytes.length === 0 || assembly.next === position;
  assembly.bytes = Buffer.concat(follows ? [assembly.bytes, payload] : [payload]);
  assembly.next = position + payload.length;
  return follows;
}

function emptyAssembly(): Assembly {
  return { bytes: Buffer.alloc(0), next: 0 };
}
