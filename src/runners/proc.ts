/**
 * What /proc says about a process. Every reader answers null for a process
 * that is gone or may not be looked at: both happen at any time.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { MappedFile } from '../addon.ts';
import { splitArgv } from '../decode/decode-process.ts';

export interface ProcStat {
  readonly pid: number;
  /** Name of the thread-group leader. */
  readonly comm: string;
  /** One letter, from proc(5); `Z` and `X` have ended. */
  readonly state: string;
  readonly ppid: number;
  /** Pid of the process that made the session by setsid(2): all in it descend from that one. */
  readonly sid: number;
  /** 0 when every thread has ended. */
  readonly threads: number;
  /** Processor time of all its threads so far, in clock ticks. */
  readonly userTicks: number;
  readonly systemTicks: number;
  /** Start since boot in clock ticks. */
  readonly startTicks: bigint;
  /** Resident memory, in pages. */
  readonly rssPages: number;
}

/** Fields of /proc/PID/stat after the name, counted from the state: proc(5) numbers them from 3. */
const STATE_FIELD = 0;
const PPID_FIELD = 1;
const SESSION_FIELD = 3;
const USER_FIELD = 11;
const SYSTEM_FIELD = 12;
const THREADS_FIELD = 17;
const START_FIELD = 19;
const RSS_FIELD = 21;

export function readStat(pid: number): ProcStat | null {
  const text = readText(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name is in parentheses and may hold parentheses and spaces itself.
  const nameStart = text.indexOf('(');
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const state = fields[STATE_FIELD];
  const startTicks = fields[START_FIELD];
  if (nameStart === -1 || state === undefined || startTicks === undefined) return null;
  return {
    pid,
    comm: text.slice(nameStart + 1, nameEnd),
    state,
    ppid: Number(fields[PPID_FIELD]),
    sid: Number(fields[SESSION_FIELD]),
    threads: Number(fields[THREADS_FIELD]),
    userTicks: Number(fields[USER_FIELD]),
    systemTicks: Number(fields[SYSTEM_FIELD]),
    startTicks: BigInt(startTicks),
    rssPages: Number(fields[RSS_FIELD]),
  };
}

/** A leader that ended before its other threads is a zombie with threads: its process lives. */
export function hasEnded(stat: ProcStat): boolean {
  return stat.state === 'X' || (stat.state === 'Z' && stat.threads <= 1);
}

export function listPids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

export function listProcesses(): ProcStat[] {
  return listPids().flatMap((pid) => readStat(pid) ?? []);
}

export interface ProcIds {
  /** Thread-group id: the pid itself, unless a thread was named. */
  readonly tgid: number;
  readonly uid: number;
  readonly gid: number;
}

export function readIds(pid: number): ProcIds | null {
  const text = readText(`/proc/${pid}/status`);
  if (text === null) return null;
  const first = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { tgid: first('Tgid'), uid: first('Uid'), gid: first('Gid') };
}

export function readArgv(pid: number): string[] {
  return splitArgv(readText(`/proc/${pid}/cmdline`) ?? '');
}

/** A variable of the environment that the process began with. */
export function readVariable(pid: number, name: string): string | null {
  const start = `${name}=`;
  return readText(`/proc/${pid}/environ`)?.split('\0').find((entry) => entry.startsWith(start))?.slice(start.length) ?? null;
}

export function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** How the kernel marks the path of a file that was removed. */
const DELETED = ' (deleted)';

/** The file that runs, as the process sees it and as the kernel's records tell it. */
export function readExe(pid: number): string | null {
  const exe = readLink(`/proc/${pid}/exe`);
  if (exe === null) return null;
  const path = exe.endsWith(DELETED) ? exe.slice(0, -DELETED.length) : exe;
  const root = readLink(`/proc/${pid}/root`) ?? '/';
  return root !== '/' && path.startsWith(`${root}/`) ? path.slice(root.length) : path;
}

/** Files that the process has mapped executable, each once. null when the process is gone. */
export function readExecutableMappings(pid: number): MappedFile[] | null {
  const text = readText(`/proc/${pid}/maps`);
  if (text === null) return null;
  const mappings = new Map<string, MappedFile>();
  for (const line of text.split('\n')) {
    // 7f1c1000-7f1c5000 r-xp 00012000 fd:01 1234                       /usr/lib/libx.so
    const pathStart = line.indexOf('/');
    if (pathStart === -1) continue;
    const [range = '', permissions, , device, inode] = line.split(' ', 5);
    if (permissions?.[2] !== 'x' || inode === '0') continue;
    const file = `${device}:${inode}`;
    if (!mappings.has(file)) mappings.set(file, { pid, file, path: line.slice(pathStart), range });
  }
  return [...mappings.values()];
}

export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
