/**
 * Puts processes that already run into the traced set, with all their
 * descendants and without a gap.
 *
 * A traced parent's children are inherited by the kernel from the moment it is
 * in the set. So every process is put in first and its children are looked for
 * after, until a scan of /proc finds nobody new: whoever was forked before its
 * parent was in the set is in the next scan, whoever was forked after is
 * already traced.
 */
import type { Capture, Selection } from '../addon.ts';
import { AgentsightError } from '../errors.ts';
import type { ProcessKey, ProcessEvent } from '../event.ts';
import type { ProcessEntry, ProcessTable } from '../decode/process-table.ts';
import type { Identity } from '../identity.ts';
import { now } from '../time.ts';
import { containerOf } from '../decode/container.ts';
import { readAncestors } from './ancestors.ts';
import { isInCgroup, isInContainer, readCgroup } from './cgroup.ts';
import { hasEnded, listProcesses, readArgv, readExe, readIds, readLink, readStat, type ProcStat } from './proc.ts';

export interface Seeded {
  readonly stat: ProcStat;
  readonly root: number;
}

/** Resolves a pid given by a user: of a thread, its process. Throws TARGET_NOT_FOUND, also for one that the selection leaves out. */
export function resolveTarget(pid: number, selection: Selection): number {
  const tgid = readIds(pid)?.tgid ?? Number.NaN;
  const stat = Number.isNaN(tgid) ? null : readStat(tgid);
  if (stat === null) {
    throw new AgentsightError('TARGET_NOT_FOUND', `could not trace process ${pid}: no process has this id`, {
      hint: 'list the running processes with `ps -e`',
    });
  }
  const reason = whyNotSelected(stat, selection);
  if (reason === null) return tgid;
  throw new AgentsightError('TARGET_NOT_FOUND', `could not trace process ${pid}: ${reason}`, {
    hint: 'selectors of several kinds must all fit: leave one out, or choose another process',
  });
}

/** Whether processes become roots by themselves. */
export function selectsProcesses({ comms, exes, cgroups, containers, uids }: Selection): boolean {
  return comms.length + exes.length + cgroups.length + containers.length + uids.length > 0;
}

/** Running processes that are selected; where children are followed, without those that descend from another one. */
export function findSelected(selection: Selection): number[] {
  if (!selectsProcesses(selection)) return [];
  const byPid = new Map(listProcesses().map((stat) => [stat.pid, stat]));
  const selected = new Set([...byPid.values()].filter((stat) => isSelected(stat, selection)).map(({ pid }) => pid));
  if (!selection.follow) return [...selected];
  const hasMatchingAncestor = (stat: ProcStat): boolean => {
    // A pid given out anew while we read could close a circle: no chain is longer than there are processes.
    let parent = byPid.get(stat.ppid);
    for (let steps = 0; parent !== undefined && steps < byPid.size; steps++) {
      if (selected.has(parent.pid)) return true;
      parent = byPid.get(parent.ppid);
    }
    return false;
  };
  return [...byPid.values()].filter((stat) => selected.has(stat.pid) && !hasMatchingAncestor(stat)).map((stat) => stat.pid);
}

function isSelected(stat: ProcStat, selection: Selection): boolean {
  return stat.pid !== process.pid && !hasEnded(stat) && whyNotSelected(stat, selection) === null;
}

/** The first selector that does not fit, in words; null when all do. As the programs decide at exec: bpf/select.bpf.h. */
function whyNotSelected({ pid, comm }: ProcStat, { comms, exes, cgroups, containers, uids }: Selection): string | null {
  if (comms.length > 0 && !comms.includes(comm)) return `its name is ${comm}`;
  const uid = uids.length === 0 ? null : readIds(pid)?.uid ?? -1;
  if (uid !== null && !uids.includes(uid)) return `it belongs to user ${uid}`;
  const exe = exes.length === 0 ? null : readExe(pid) ?? '';
  if (exe !== null && !exes.includes(exe)) return exe === '' ? 'its file cannot be told' : `it runs ${exe}`;
  const cgroup = cgroups.length + containers.length === 0 ? null : readCgroup(pid) ?? '';
  if (cgroup === null || cgroups.some((path) => isInCgroup(cgroup, path)) || containers.some((id) => isInContainer(cgroup, id))) return null;
  return cgroup === '' ? 'its control group cannot be told' : `it is in control group ${cgroup}`;
}

export interface Seeds {
  /** Must run. */
  readonly roots: readonly number[];
  /** May have ended since they were found. */
  readonly found: readonly number[];
  /** Descendants as well. */
  readonly follow: boolean;
}

/**
 * Returns those that it put in, parents before their children. Throws
 * TARGET_NOT_FOUND for one of `roots` that has ended; those of `found` may have.
 */
export function seedTrees(capture: Capture, { roots, found, follow }: Seeds): Seeded[] {
  const members = new Map<number, number>();
  const seeded: Seeded[] = [];
  const put = (pid: number, root: number): void => {
    members.set(pid, root);
    if (roots.includes(pid)) capture.trace(pid, root);
    else if (!traceIfAlive(capture, pid, root)) return;
    const stat = readStat(pid);
    if (stat !== null && !hasEnded(stat)) seeded.push({ stat, root });
  };
  for (const root of [...roots, ...found]) if (!members.has(root)) put(root, root);
  for (let grown = follow; grown;) {
    grown = false;
    for (const { pid, ppid, sid } of listProcesses()) {
      // Whose parent has ended is another's child by now, and still in the session that a traced process made.
      const root = members.get(ppid) ?? members.get(sid);
      // Never ourselves: what we write about a program would be seen as its doing, without end.
      if (root === undefined || members.has(pid) || pid === process.pid) continue;
      grown = true;
      if (capture.isTraced(pid)) members.set(pid, root);
      else put(pid, root);
    }
  }
  return seeded;
}

/** A child that has ended since it was listed, or that its parent has not waited for, is no reason to fail. */
function traceIfAlive(capture: Capture, pid: number, root: number): boolean {
  try {
    capture.trace(pid, root);
    return true;
  } catch (error) {
    if (error instanceof AgentsightError && error.code === 'TARGET_NOT_FOUND') return false;
    throw error;
  }
}

/**
 * Processes that have ended though no record said so: it was lost, or the
 * process was ending while it was put into the set. Looks no further than the
 * first one that runs, so that it costs one reading of /proc however large the
 * tree is: as long as one runs, the run goes on.
 */
export function endedUnseen(live: Iterable<ProcessEntry>, identity: Identity): ProcessEntry[] {
  const ended: ProcessEntry[] = [];
  for (const entry of live) {
    const stat = readStat(entry.pid);
    // Its pid may be another's by now.
    if (stat !== null && !hasEnded(stat) && identity.processKeyOfTicks(stat.startTicks, stat.pid) === entry.key) break;
    ended.push(entry);
  }
  return ended;
}

export interface ExistingContext {
  readonly identity: Identity;
  readonly processes: ProcessTable;
}

/** What an EXEC would have said, had we seen it. Its time is now: the trace knows nothing earlier. */
export function existingEvents(seeded: readonly Seeded[], { identity, processes }: ExistingContext): ProcessEvent[] {
  for (const { stat, root } of seeded) {
    processes.adopt({ pid: stat.pid, startTicks: stat.startTicks, comm: stat.comm, root });
  }
  return seeded.flatMap(({ stat }) => {
    const entry = processes.get(stat.pid);
    return entry === undefined ? [] : [existingEvent(stat, entry, identity)];
  });
}

function existingEvent(
  stat: ProcStat,
  entry: { readonly key: ProcessKey; readonly session: ProcessKey | null; readonly root: number },
  identity: Identity,
): ProcessEvent {
  const ids = readIds(stat.pid);
  const parent = readStat(stat.ppid);
  const cgroup = readCgroup(stat.pid);
  return {
    timestamp: now(),
    source: 'process',
    pid: stat.pid,
    comm: stat.comm,
    data: {
      event: 'EXEC',
      ppid: stat.ppid,
      parent: identity.processKeyOfTicks(parent?.startTicks ?? 0n, stat.ppid),
      filename: readLink(`/proc/${stat.pid}/exe`) ?? '',
      argv: readArgv(stat.pid),
      cwd: readLink(`/proc/${stat.pid}/cwd`) ?? '',
      uid: ids?.uid ?? 0,
      gid: ids?.gid ?? 0,
      exe: readExe(stat.pid),
      cgroup,
      container: cgroup === null ? null : containerOf(cgroup),
      ancestors: entry.root === stat.pid ? readAncestors(stat.ppid, identity) : [],
      truncated: false,
      existing: true,
    },
    id: identity.nextId(),
    process: entry.key,
    session: entry.session,
  };
}
