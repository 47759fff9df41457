/**
 * Every file looked at for TLS, each once: hooked, known but not hooked,
 * failed, or without. Hooks are by inode and for all processes: the kernel
 * passes over those that are not traced, and short-lived processes of one
 * program share one hook.
 */
import { statSync, type BigIntStats } from 'node:fs';
import type { Addon, Capture } from '../addon.ts';
import { causeText } from '../errors.ts';
import type { ProbeData, TlsLibrary } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { locateTls, type PlannedProbe, type TlsPlan } from './tls-locate.ts';
import { neededFiles } from './tls-needed.ts';

export interface TlsFile {
  readonly path: string;
  readonly state: 'attached' | 'unsupported' | 'failed' | 'none';
  readonly library: TlsLibrary | null;
  readonly reason: string | null;
}

export interface TlsFiles {
  /**
   * Looks at the file and hooks what is there to hook. `path` is what people
   * read, `reachable` where the file can be opened now. null when it cannot be.
   */
  look(path: string, reachable?: string): TlsFile | null;
  /** The same for a program file and every library that it asks for. null when it is no program that can be read. */
  lookAtNeeded(program: string): readonly TlsFile[] | null;
  counters(): Readonly<Record<string, number>>;
}

export interface TlsFilesOptions {
  readonly addon: Addon;
  readonly capture: Capture;
  readonly onProbe: (probe: ProbeData) => void;
}

export function createTlsFiles({ addon, capture, onProbe }: TlsFilesOptions): TlsFiles {
  const files = new Map<string, TlsFile>();
  const counters = new Counters(['looked_at', 'attached', 'unsupported', 'failed', 'probes', 'refused_probes', 'forgotten']);

  function look(path: string, reachable = path): TlsFile | null {
    const stat = statFile(reachable);
    if (stat === null) return null;
    const key = `${stat.dev}:${stat.ino}`;
    const known = files.get(key);
    if (known !== undefined) return known;
    // A path through /proc ends with its process: where the file's own path leads to it, that one stays.
    const place = reachable !== path && isSameFile(statFile(path), stat) ? path : reachable;
    const plan = locateTls(place, addon.readElf);
    const file = hook(path, place, plan);
    // Its process ended while we looked: the file itself has not failed.
    if (file.state === 'failed' && !isSameFile(statFile(place), stat)) return null;
    remember(key, file);
    tell(file, plan);
    return file;
  }

  function tell({ path, state, library, reason }: TlsFile, plan: TlsPlan): void {
    if (state === 'none') return;
    counters.add(state);
    const hooked = plan.kind === 'hook' && state === 'attached';
    onProbe({
      path,
      library,
      status: state === 'unsupported' ? 'absent' : state,
      method: hooked ? plan.method : null,
      functions: hooked ? plan.functions : [],
      reason,
    });
  }

  function remember(key: string, file: TlsFile): void {
    counters.add('looked_at');
    if (files.size >= LIMITS.tlsBinaries) {
      // A hooked file stays: to look at it again would hook it twice.
      for (const [oldest, { state }] of files) {
        if (state === 'attached') continue;
        files.delete(oldest);
        counters.add('forgotten');
        break;
      }
    }
    files.set(key, file);
  }

  function hook(path: string, place: string, plan: TlsPlan): TlsFile {
    switch (plan.kind) {
      case 'none':
        return { path, state: 'none', library: null, reason: null };
      case 'unsupported':
        return { path, state: 'unsupported', library: plan.library, reason: plan.reason };
      case 'failed':
        return { path, state: 'failed', library: null, reason: plan.reason };
      case 'hook': {
        const reason = attach(place, plan.probes);
        return { path, state: reason === null ? 'attached' : 'failed', library: plan.library, reason };
      }
    }
  }

  /** All probes of a file or none: half of them would show half a conversation. null, or why not. */
  function attach(place: string, probes: readonly PlannedProbe[]): string | null {
    if (counters.get('probes') + probes.length > LIMITS.tlsProbes) {
      counters.add('refused_probes', probes.length);
      return `the limit of ${LIMITS.tlsProbes} probes is reached`;
    }
    const ids: number[] = [];
    try {
      for (const { program, offset } of probes) ids.push(capture.attachUprobe({ program, path: place, offset, pid: null }));
    } catch (error) {
      for (const id of ids) capture.detachUprobe(id);
      return causeText(error);
    }
    counters.add('probes', ids.length);
    return null;
  }

  function lookAtNeeded(program: string): readonly TlsFile[] | null {
    return neededFiles(program, addon.readElf)?.flatMap((path) => look(path) ?? []) ?? null;
  }

  return { look, lookAtNeeded, counters: () => counters.snapshot() };
}

/** null for what is gone, cannot be reached, or is no regular file. */
function statFile(path: string): BigIntStats | null {
  try {
    const stat = statSync(path, { bigint: true });
    return stat.isFile() ? stat : null;
  } catch {
    return null;
  }
}

function isSameFile(a: BigIntStats | null, b: BigIntStats): boolean {
  return a !== null && a.ino === b.ino && a.dev === b.dev;
}
