/**
 * Every file looked at for TLS, each once: hooked, known but not hooked,
 * failed, or without. Hooks are by inode and for all processes: the kernel
 * passes over those that are not traced, and short-lived processes of one
 * program share one hook. Of a process that is traced alone they are its own.
 */
import type { Addon, Capture } from '../addon.ts';
import { tlsLibraryNumber } from '../decode/tls-library.ts';
import { causeText } from '../errors.ts';
import type { NamedTlsLibrary, ProbeData, ProbeStep } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { now, type Nanoseconds } from '../time.ts';
import type { Found, Ladder } from './locate/ladder.ts';
import { isSameFile, statFile } from './mapped-file.ts';
import { readLink } from './proc.ts';
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
type Hooking = Pick<TlsFile, 'state' | 'library' | 'reason'>;

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
  const files = new Map<string, TlsFile>();
  /** Those that are being searched now. */
  const searches = new Map<string, Promise<TlsFile | null>>();
  const counters = new Counters(['looked_at', 'attached', 'unsupported', 'failed', 'probes', 'refused_probes', 'forgotten']);
  let closed = false;
  let pid = onlyPid;
  /** Hooks of one process. */
  const hooks: number[] = [];

  async function look(path: string, place = path): Promise<TlsFile | null> {
    const stat = statFile(place);
    if (stat === null || closed) return null;
    const key = `${stat.dev}:${stat.ino}`;
    const known = files.get(key) ?? searches.get(key);
    if (known !== undefined) return known;
    const search = searchAndHook(path, place);
    const pidBefore = pid;
    searches.set(key, search);
    const file = await search.finally(() => searches.delete(key));
    if (pid !== pidBefore) return look(path, place);
    // Its process ended while we looked: the file itself has not failed.
    if (file === null || (file.state === 'failed' && !isSameFile(statFile(place), stat))) return null;
    remember(key, file);
    return file;
  }

  async function searchAndHook(path: string, place: string): Promise<TlsFile | null> {
    const found = await ladder.locate(place);
    if (closed) return null;
    const hooking = hook(place, found.plan);
    const isHooked = hooking.state === 'attached';
    const seesHandshakes = isHooked && found.plan.kind === 'hook' && found.plan.probes.some(({ program }) => program === 'handshake_enter');
    const probe = hooking.state === 'none' ? null : describe({ path, place }, hooking, found);
    if (hooking.state !== 'none') counters.add(hooking.state);
    if (probe !== null) onProbe(probe);
    return { path, ...hooking, probe, hookedAt: isHooked ? now() : null, seesHandshakes };
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

  function hook(place: string, plan: TlsPlan): Hooking {
    switch (plan.kind) {
      case 'none':
        return { state: 'none', library: null, reason: null };
      case 'unsupported':
        return { state: 'unsupported', library: plan.library, reason: plan.reason };
      case 'failed':
        return { state: 'failed', library: null, reason: plan.reason };
      case 'hook': {
        const reason = attach(place, plan);
        return { state: reason === null ? 'attached' : 'failed', library: plan.library, reason };
      }
    }
  }

  /** All probes of a file or none: half of them would show half a conversation. null, or why not. */
  function attach(place: string, { library: main, probes }: Extract<TlsPlan, { kind: 'hook' }>): string | null {
    if (counters.get('probes') + probes.length > LIMITS.tlsProbes) {
      counters.add('refused_probes', probes.length);
      return `the limit of ${LIMITS.tlsProbes} probes is reached`;
    }
    const ids: number[] = [];
    try {
      for (const { program, offset, library = main } of probes) {
        ids.push(capture.attachUprobe({ program, path: place, offset, pid, cookie: tlsLibraryNumber(library) }));
      }
    } catch (error) {
      for (const id of ids) capture.detachUprobe(id);
      return causeText(error);
    }
    counters.add('probes', ids.length);
    if (pid !== null) hooks.push(...ids);
    return null;
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
    onlyPid: () => pid,
    hookForAll() {
      pid = null;
      counters.add('probes', -hooks.length);
      for (const id of hooks.splice(0)) capture.detachUprobe(id);
      files.clear();
    },
    counters: () => ({ ...counters.snapshot(), ...ladder.counters() }),
    close() {
      closed = true;
      ladder.close();
    },
  };
}
