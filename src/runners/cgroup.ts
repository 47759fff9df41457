/** The control group of a running process, and what it is selected by: as bpf/cgroup.bpf.h has it. */
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
