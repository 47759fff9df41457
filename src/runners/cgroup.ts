/** The control group of a running process, and what it is selected by: as bpf/cgroup.bpf.h has it. */
import { statSync } from 'node:fs';
import { posix } from 'node:path';
import { readText } from './proc.ts';

/** Version 1 hierarchies that are asked, in this order, where version 2 says nothing. */
const CONTROLLERS = ['memory', 'pids', 'cpu'];

export function readCgroup(pid: number): string | null {
  const text = readText(`/proc/${pid}/cgroup`);
  return text === null ? null : cgroupIn(text);
}

/** Of the text of /proc/PID/cgroup: lines of `4:memory:/path`, version 2 with the number 0 and no controllers. */
export function cgroupIn(text: string): string {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, number, controllers = '', path] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(number === '0' ? '' : controller, path);
  }
  return ['', ...CONTROLLERS].map((name) => paths.get(name)).find((path) => path !== undefined && path !== '/') ?? '/';
}

/** The group itself or one below it. */
export function isInCgroup(path: string, group: string): boolean {
  return path === group || path.startsWith(`${group}/`);
}

/** `id` may be how it begins. A container's monitor, which has the id in its group's name, counts as well. */
export function isInContainer(path: string, id: string): boolean {
  return ['/', '-', ':'].some((before) => path.includes(before + id));
}

/** A hierarchy of control groups: where it is mounted, and which of its groups is there. */
export interface CgroupMount {
  readonly point: string;
  readonly root: string;
}

/** Version 2 first. */
export function cgroupMounts(): CgroupMount[] {
  return cgroupMountsIn(readText('/proc/self/mountinfo') ?? '');
}

/** Of lines of `36 35 0:30 /root /point options - cgroup2 source options`: proc(5). */
export function cgroupMountsIn(mountinfo: string): CgroupMount[] {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = before.split(' ');
    const [type = ''] = after.split(' ');
    return type === 'cgroup' || type === 'cgroup2' ? [{ type, point: unescaped(point), root: unescaped(root) }] : [];
  });
  return mounts.toSorted((a, b) => b.type.localeCompare(a.type)).map(({ point, root }) => ({ point, root }));
}

/** Spaces and the like are written as octal numbers. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** A group by its path, or by its folder below a mount, as the kernel's programs name it; null when there is none. */
export function findCgroup(text: string, mounts: readonly CgroupMount[]): string | null {
  const path = posix.normalize(`/${text}`).replace(/(?<=.)\/$/, '');
  for (const { point, root } of mounts) {
    if (isInCgroup(path, point) && isFolder(path)) return joined(root, path.slice(point.length));
  }
  return mounts.some(({ point }) => isFolder(point + path)) ? path : null;
}

function joined(root: string, below: string): string {
  return (root === '/' ? below : root + below) || '/';
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
