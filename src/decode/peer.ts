/**
 * The two ends of what a descriptor leads to. Each end has a name that is the
 * same for whoever has it open: of a pipe, who reads and who writes; of a pair
 * of unix sockets, one socket and the other; of a terminal, its master and the
 * programs on it.
 */
import type { Direction, StdioPeer } from '../event.ts';
import type { ProcessEntry } from './process-table.ts';
import { S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK, terminalPath } from './target.ts';

export interface Ends {
  /** Where a process reads, and where it writes: the same but for a pipe. */
  readonly reader: string;
  readonly writer: string;
  /** Where the one is that writes what is read here, and the one that reads what is written. */
  readonly peerOfReader: string;
  readonly peerOfWriter: string;
  readonly peerTarget: string | null;
}

export interface Use {
  readonly process: ProcessEntry;
  readonly fd: number;
  readonly direction: Direction;
  readonly ends: Ends;
}

/** Notes who used this end, and says who is at the other one. The same array as long as nothing has changed. */
export type PeersOf = (use: Use) => readonly StdioPeer[];

/** What /dev/ptmx is, as stat(2) packs it: 5:2. */
const MASTER_DEVICE = 0x502;

export interface DescribedFile {
  readonly mode: number;
  readonly inode: bigint | number;
  readonly device: number;
  /** Inode of the socket that this one is connected to; of a terminal's master its number + 1; else 0. */
  readonly peer: number;
  /** As `target` of the event. */
  readonly text: string;
}

/** null for what has no other end, or one that cannot be told. */
export function endsOf({ mode, inode, device, peer, text }: DescribedFile): Ends | null {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return pipeEnds(inode, text);
    case S_IFSOCK:
      return peer === 0 ? null : pair(socketEnd(inode), socketEnd(peer), socketEnd(peer));
    case S_IFCHR: {
      if (device === MASTER_DEVICE) return peer === 0 ? null : pair(masterEnd(peer - 1), terminalEnd(peer - 1), terminalEnd(peer - 1));
      const number = /^\/dev\/pts\/(\d+)$/.exec(terminalPath(device) ?? '')?.[1];
      return number === undefined ? null : pair(terminalEnd(number), masterEnd(number), '/dev/ptmx');
    }
    default:
      return null;
  }
}

export function pipeEnds(inode: bigint | number, target: string): Ends {
  const [reader, writer] = [readEnd(inode), writeEnd(inode)];
  return { reader, writer, peerOfReader: writer, peerOfWriter: reader, peerTarget: target };
}

function pair(own: string, other: string, peerTarget: string): Ends {
  return { reader: own, writer: own, peerOfReader: other, peerOfWriter: other, peerTarget };
}

type Id = bigint | number | string;

export const readEnd = (inode: Id): string => `pipe:[${inode}] read`;
export const writeEnd = (inode: Id): string => `pipe:[${inode}] write`;
export const socketEnd = (inode: Id): string => `socket:[${inode}]`;
export const terminalEnd = (number: Id): string => `/dev/pts/${number}`;
export const masterEnd = (number: Id): string => `/dev/ptmx ${number}`;
