/**
 * Every file looked at for TLS, each once: hooked, known but not hooked,
 * failed, or without. Hooks are by inode and for all processes: the kernel
 * passes over those that are not traced, and short-lived processes of one
 * program share one hook. Of a process that is traced alone they are its own. An inode whose bytes have changed, or that is another
 * file by now, is looked at anew: its old hooks would lie anywhere in the code.
 */
import type { BigIntStats } from 'node:fs';
import type { Addon, Capture } from '../addon.ts';
import type { NamedTlsLibrary, ProbeData, ProbeStep } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { now, type Nanoseconds } from '../time.ts';
import type { Found, Ladder } from './locate/ladder.ts';
import { isSameFile, statFile } from './mapped-file.ts';
import { readLink } from './proc.ts';
import { areSameProbes, createTlsHooks, type Hooks } from './tls-hooks.ts';
import type { TlsPlan } from './tls-locate.ts';
import { type LinkerPlace, neededFiles } from './tls-needed.ts';

export interface TlsFile {
  readonly path: string;
  readonly state: 'attached' | 'unsupported' | 'failed' | 'none';
  readonly library: NamedTlsLibrary | null;
  readonly reason: string | null;
  /** What was told of it; null for one without TLS. */
  readonly probe: ProbeData | null;
  /** Since when what passes it is seen; null when it is not hooked. */
  readonly hookedAt: Nanoseconds | null;
  /** A handshake that fails is seen, too. */
  readonly seesHandshakes: boolean;
}

/** What became of a file, before it is told. */
interface Hooking extends Pick<TlsFile, 'state' | 'library' | 'reason'> {
  readonly hooks: Hooks | null;
}

/** A file as it was when it was looked at. */
interface Looked {
  readonly file: TlsFile;
  readonly version: string;
  readonly hooks: Hooks | null;
}

export interface TlsFiles {
  /**
   * Looks at the file and hooks what is there to hook. `path` is what people
   * read, `place` where the file can be opened now. null when it cannot be.
   */
  look(path: string, place?: string): Promise<TlsFile | null>;
  /** The same for a program file and every library that it asks for. null when it is no program that can be read. */
  lookAtNeeded(program: string, place: LinkerPlace | null): Promise<readonly TlsFile[] | null>;
  /** The process that hooks are made for; null: all. */
  onlyPid(): number | null;
  /** Drops the hooks of one process and forgets all files: what is looked at from now on is hooked for all. */
  hookForAll(): void;
  counters(): Readonly<Record<string, number>>;
  /** Nothing is hooked from now on. */
  close(): void;
}

export interface TlsFilesOptions {
  readonly addon: Addon;
  readonly capture: Pick<Capture, 'attachUprobe' | 'detachUprobe'>;
  readonly ladder: Ladder;
  readonly onProbe: (probe: ProbeData) => void;
  /** The only process that is traced. */
  readonly onlyPid?: number | null;
}

export function createTlsFiles({ addon, capture, ladder, onProbe, onlyPid = null }: TlsFilesOptions): TlsFiles {
  const files = new Map<string, Looked>();
  /** Those that are being searched now. */
  const searches = new Map<string, Promise<TlsFile | null>>();
  const counters = new Counters(['looked_at', 'attached', 'unsupported', 'failed', 'changed', 'forgotten']);
  const hooks = createTlsHooks(capture, onlyPid);
  let closed = false;

  async function look(path: string, place = path): Promise<TlsFile | null> {
    const stat = statFile(place);
    if (stat === null || closed) return null;
    const key = `${stat.dev}:${stat.ino}`;
    const known = files.get(key);
    if (known?.version === versionOf(stat)) return known.file;
    const searched = searches.get(key);
    if (searched !== undefined) return searched;
    const search = lookAnew(path, place, { key, stat });
    searches.set(key, search);
    try {
      return await search;
    } finally {
      searches.delete(key);
    }
  }

  interface Subject {
    readonly key: string;
    readonly stat: BigIntStats;
  }

  async function lookAnew(path: string, place: string, { key, stat }: Subject): Promise<TlsFile | null> {
    const found = await ladder.locate(place);
    if (closed) return null;
    // What the inode was before it changed, unless it was forgotten meanwhile.
    const known = files.get(key);
    if (known !== undefined) counters.add('changed');
    const isUnchanged = known?.hooks != null && found.plan.kind === 'hook' && areSameProbes(known.hooks.plan, found.plan);
    if (known?.hooks != null && !isUnchanged) hooks.detach(known.hooks);
    const looked = isUnchanged && known !== undefined ? { ...known, version: versionOf(stat) } : hookAndTell(path, place, found, versionOf(stat));
    // Its process ended while we looked: the file itself has not failed.
    if (looked.file.state === 'failed' && !isSameFile(statFile(place), stat)) {
      files.delete(key);
      return null;
    }
    remember(key, looked);
    return looked.file;
  }

  function hookAndTell(path: string, place: string, found: Found, version: string): Looked {
    const hooking = hook(place, found.plan);
    const { state, library, reason } = hooking;
    const isHooked = state === 'attached';
    const seesHandshakes = isHooked && found.plan.kind === 'hook' && found.plan.probes.some(({ program }) => program === 'handshake_enter');
    const probe = state === 'none' ? null : describe({ path, place }, hooking, found);
    if (state !== 'none') counters.add(state);
    if (probe !== null) onProbe(probe);
    return { file: { path, state, library, reason, probe, hookedAt: isHooked ? now() : null, seesHandshakes }, version, hooks: hooking.hooks };
  }

  function describe({ path, place }: { readonly path: string; readonly place: string }, { state, library, reason }: Hooking, { plan, buildId, steps }: Found): ProbeData {
    const attached: readonly ProbeStep[] = plan.kind === 'hook' ? [{ step: 'attach', outcome: reason ?? `${plan.probes.length} probes` }] : [];
    const hooked = plan.kind === 'hook' && state === 'attached';
    return {
      path,
      // A link of /proc to the very path is no place of its own.
      place: place === path || (place.endsWith('/exe') && readLink(place) === path) ? null : place,
      build_id: buildId,
      library,
      status: state === 'attached' || state === 'failed' ? state : 'absent',
      method: hooked ? plan.method : null,
      functions: hooked ? plan.functions : [],
      reason,
      steps: [...steps, ...attached],
    };
  }

  function remember(key: string, looked: Looked): void {
    counters.add('looked_at');
    if (files.size >= LIMITS.tlsBinaries && !files.has(key)) {
      // A hooked file stays: to look at it again would hook it twice.
      for (const [oldest, { file }] of files) {
        if (file.state === 'attached') continue;
        files.delete(oldest);
        counters.add('forgotten');
        break;
      }
    }
    files.set(key, looked);
  }

  function hook(place: string, plan: TlsPlan): Hooking {
    switch (plan.kind) {
      case 'none':
        return { state: 'none', library: null, reason: null, hooks: null };
      case 'unsupported':
        return { state: 'unsupported', library: plan.library, reason: plan.reason, hooks: null };
      case 'failed':
        return { state: 'failed', library: null, reason: plan.reason, hooks: null };
      case 'hook': {
        const attached = hooks.attach(place, plan);
        if (typeof attached === 'string') return { state: 'failed', library: plan.library, reason: attached, hooks: null };
        return { state: 'attached', library: plan.library, reason: null, hooks: attached };
      }
    }
  }

  async function lookAtNeeded(program: string, place: LinkerPlace | null): Promise<readonly TlsFile[] | null> {
    const needed = neededFiles(program, addon.readElf, place);
    if (needed === null) return null;
    const looked = await Promise.all(needed.map((path) => look(path)));
    return looked.flatMap((file) => file ?? []);
  }

  return {
    look,
    lookAtNeeded,
    onlyPid: hooks.onlyPid,
    hookForAll() {
      hooks.forAll();
      files.clear();
    },
    counters: () => ({ ...counters.snapshot(), ...hooks.counters(), ...ladder.counters() }),
    close() {
      closed = true;
      ladder.close();
    },
  };
}

/** Not its ctime: that changes with every name that it gets, too. */
function versionOf({ mtimeNs, size }: BigIntStats): string {
  return `${mtimeNs}:${size}`;
}
