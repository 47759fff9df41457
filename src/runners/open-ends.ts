/** The ends of pipes, sockets and terminals that a process has open, as /proc tells them. */
import { lstatSync, readdirSync } from 'node:fs';
import { masterEnd, readEnd, socketEnd, terminalEnd, writeEnd } from '../decode/peer.ts';
import { LIMITS } from '../limits.ts';
import { readLink, readText } from './proc.ts';

export interface OpenEnd {
  readonly fd: number;
  /** As in src/decode/peer.ts. */
  readonly end: string;
}

/** The kernel shows by these bits of the link in /proc/PID/fd what the descriptor may do. */
const OWNER_READS = 0o400;
const OWNER_WRITES = 0o200;

/** Told how many descriptors of a process were not looked at, beyond the limit. */
type OnLeftOut = (count: number) => void;

/** None for a process that is gone or may not be looked at. */
export function openEnds(pid: number, onLeftOut: OnLeftOut): readonly OpenEnd[] {
  return descriptorsOf(pid, onLeftOut).flatMap((fd) => endsOfLink(`/proc/${pid}`, fd).map((end) => ({ fd, end })));
}

/** Whether it has made an io_uring, or was given one. */
export function hasIoUring(pid: number, onLeftOut: OnLeftOut): boolean {
  return descriptorsOf(pid, onLeftOut).some((fd) => readLink(`/proc/${pid}/fd/${fd}`) === 'anon_inode:[io_uring]');
}

function descriptorsOf(pid: number, onLeftOut: OnLeftOut): readonly number[] {
  try {
    const names = readdirSync(`/proc/${pid}/fd`);
    if (names.length > LIMITS.descriptorsPerProcess) onLeftOut(names.length - LIMITS.descriptorsPerProcess);
    return names.slice(0, LIMITS.descriptorsPerProcess).map(Number);
  } catch {
    return [];
  }
}

function endsOfLink(proc: string, fd: number): readonly string[] {
  const link = readLink(`${proc}/fd/${fd}`);
  const inode = link === null ? undefined : /^(?:pipe|socket):\[(\d+)\]$/.exec(link)?.[1];
  if (link === null) return [];
  if (inode !== undefined) return link.startsWith('pipe') ? pipeEndsOf(`${proc}/fd/${fd}`, inode) : [socketEnd(inode)];
  if (link === '/dev/ptmx' || link === '/dev/pts/ptmx') {
    const number = /^tty-index:\s*(\d+)/m.exec(readText(`${proc}/fdinfo/${fd}`) ?? '')?.[1];
    return number === undefined ? [] : [masterEnd(number)];
  }
  const terminal = /^\/dev\/pts\/(\d+)$/.exec(link)?.[1];
  return terminal === undefined ? [] : [terminalEnd(terminal)];
}

function pipeEndsOf(path: string, inode: string): readonly string[] {
  try {
    const { mode } = lstatSync(path);
    return [...(mode & OWNER_READS ? [readEnd(inode)] : []), ...(mode & OWNER_WRITES ? [writeEnd(inode)] : [])];
  } catch {
    return [];
  }
}
