/**
 * What the selectors of a command line mean on this machine: users by name,
 * programs by name, containers by name. Whatever is not there is refused here,
 * before anything is loaded.
 */
import { execFileSync } from 'node:child_process';
import { isAbsolute } from 'node:path';
import { realpathSync } from 'node:fs';
import type { Selection } from '../addon.ts';
import { AgentsightError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { cgroupMounts, findCgroup } from '../runners/cgroup.ts';
import { commandFiles } from '../runners/command-files.ts';
import { findUser } from '../user.ts';

/** As they were typed. */
export interface SelectorFlags {
  readonly comm?: readonly string[];
  readonly exe?: readonly string[];
  readonly uid?: readonly string[];
  readonly cgroup?: readonly string[];
  readonly container?: readonly string[];
  readonly follow?: boolean;
  readonly port?: readonly number[];
}

/** Throws USAGE, USER_UNKNOWN or TARGET_NOT_FOUND. */
export function selectionOf(flags: SelectorFlags): Selection {
  const { comm = [], exe = [], uid = [], cgroup = [], container = [], port = [] } = flags;
  const isElsewhere = cgroup.length + container.length > 0;
  return {
    comms: listOf('--comm', LIMITS.selectedNames, comm),
    exes: listOf('--exe', LIMITS.selectors, exe.map((name) => exeOf(name, isElsewhere))),
    uids: listOf('--uid', LIMITS.selectors, uid.map(uidOf)),
    cgroups: listOf('--cgroup', LIMITS.selectors - container.length, cgroup.map(cgroupOf)),
    containers: listOf('--container', LIMITS.selectors, container.map(containerOf)),
    follow: flags.follow ?? true,
    ports: listOf('--port', LIMITS.selectors, port),
  };
}

/** For people: `of name node, of user 1000`. Empty where nothing selects processes. */
export function selectionText({ comms, exes, uids, cgroups, containers }: Selection): string {
  const kinds: readonly (readonly [string, readonly (string | number)[]])[] = [
    ['of name', comms], ['that runs', exes], ['of user', uids], ['in control group', cgroups], ['in container', containers],
  ];
  return kinds.filter(([, values]) => values.length > 0).map(([words, values]) => `${words} ${values.join(' or ')}`).join(', ');
}

function listOf<T>(flag: string, most: number, values: readonly T[]): readonly T[] {
  const each = [...new Set(values)];
  if (each.length <= most) return each;
  throw new AgentsightError('USAGE', `could not use ${flag}: ${each.length} values are more than the ${most} that the kernel's programs compare with`);
}

function uidOf(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  return findUser(text).uid;
}

/** The file that the kernel will name; of a program within a container only the path is known. */
function exeOf(name: string, isElsewhere: boolean): string {
  const [file, interpreter] = commandFiles(name, { cwd: process.cwd(), env: process.env });
  if (interpreter !== undefined) {
    throw new AgentsightError('USAGE', `could not use --exe: ${name} is a script, and what runs is ${interpreter}`, {
      hint: `choose it by the name that its process has, with --comm, or every script with --exe ${interpreter}`,
    });
  }
  if (file !== undefined) return fits('--exe', realpathSync(file));
  if (isElsewhere && isAbsolute(name)) return fits('--exe', name);
  throw new AgentsightError('TARGET_NOT_FOUND', `could not use --exe: there is no program ${name}`, {
    hint: name.includes('/') ? 'check the path: the file must be there and executable' : 'give its path: under sudo, PATH may lack the folders of the user',
  });
}

function cgroupOf(text: string): string {
  const mounts = cgroupMounts();
  const found = findCgroup(text, mounts);
  if (found === '/') {
    throw new AgentsightError('USAGE', 'could not use --cgroup: every process is below the root', { hint: 'leave --cgroup out, or name a group below it' });
  }
  if (found !== null) return fits('--cgroup', found);
  const [mount] = mounts;
  throw new AgentsightError('TARGET_NOT_FOUND', `could not use --cgroup: there is no control group ${text}`, {
    hint: mount === undefined ? 'no control groups are mounted here' : `groups are folders below ${mount.point}, as /system.slice/ssh.service; /proc/PID/cgroup tells that of a process`,
  });
}

const CONTAINER_ID = /^[0-9a-f]{6,64}$/;
/** What can tell a container's id, one after the other. */
const ENGINES = ['docker', 'podman'];
const ENGINE_TIMEOUT_MS = 5000;

function containerOf(text: string): string {
  const id = text.toLowerCase();
  if (CONTAINER_ID.test(id)) return id;
  const found = ENGINES.map((engine) => askEngine(engine, text)).find((answer) => answer !== null);
  if (found !== undefined && found !== null) return found;
  throw new AgentsightError('TARGET_NOT_FOUND', `could not use --container: neither docker nor podman knows a container ${text}`, {
    hint: 'give its id, or at least the first 6 digits of it: it is the long number in /proc/PID/cgroup',
  });
}

function askEngine(engine: string, name: string): string | null {
  try {
    const answer = execFileSync(engine, ['inspect', '--type', 'container', '--format', '{{.Id}}', '--', name], {
      encoding: 'utf8', timeout: ENGINE_TIMEOUT_MS, stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return CONTAINER_ID.test(answer) ? answer : null;
  } catch {
    // Not installed, not running, or it knows no such container: the next one may.
    return null;
  }
}

function fits(flag: string, text: string): string {
  if (Buffer.byteLength(text) <= LIMITS.selectorBytes) return text;
  throw new AgentsightError('USAGE', `could not use ${flag}: ${text} is longer than the ${LIMITS.selectorBytes} bytes that are compared`);
}
