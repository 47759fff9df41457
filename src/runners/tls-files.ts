/**
 * Every file looked at for TLS, each once: hooked, known but not hooked,
 * failed, or without. Hooks are by inode and for all processes: the kernel
 * passes over those that are not traced, and short-lived processes of one
 * program share one hook.
 */
import { statSync } from 'node:fs';
import type { Addon, Capture } from '../addon.ts';
import { causeText } from '../errors.ts';
import type { ProbeData, TlsLibrary } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import { locateTls, type TlsPlan } from './tls-locate.ts';

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
    const stat = statSync(reachable, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile()) return null;
    const key = `${stat.dev}:${stat.ino}`;
    const known = files.get(key);
    if (known !== undefined) return known;
    const file = hook(path, reachable, locateTls(reachable, addon.readElf));
    remember(key, file);
    return file;
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

  function hook(path: string, reachable: string, plan: TlsPlan): TlsFile {
    switch (plan.kind) {
      case 'none':
        return { path, state: 'none', library: null, reason: null };
      case 'unsupported':
        counters.add('unsupported');
        onProbe({ path, library: plan.library, status: 'absent', method: null, functions: [], reason: plan.reason });
        return { path, state: 'unsupported', library: plan.library, reason: plan.reason };
      case 'failed':
        return failed(path, null, plan.reason);
      case 'hook':
        return attach(path, reachable, plan);
    }
  }

  function failed(path: string, library: TlsLibrary | null, reason: string): TlsFile {
    counters.add('failed');
    onProbe({ path, library, status: 'failed', method: null, functions: [], reason });
    return { path, state: 'failed', library, reason };
  }

  /** All probes of a file or none: half of them would show half a conversation. */
  function attach(path: string, reachable: string, plan: TlsPlan & { readonly kind: 'hook' }): TlsFile {
    const { library, method, functions } = plan;
    if (counters.get('probes') + plan.probes.length > LIMITS.tlsProbes) {
      counters.add('refused_probes', plan.probes.length);
      return failed(path, library, `the limit of ${LIMITS.tlsProbes} probes is reached`);
    }
    const ids: number[] = [];
    try {
      for (const { program, offset } of plan.probes) {
        ids.push(capture.attachUprobe({ program, path: reachable, offset, pid: null }));
      }
    } catch (error) {
      for (const id of ids) capture.detachUprobe(id);
      return failed(path, library, causeText(error));
    }
    counters.add('attached');
    counters.add('probes', ids.length);
    onProbe({ path, library, status: 'attached', method, functions, reason: null });
    return { path, state: 'attached', library, reason: null };
  }

  return { look, counters: () => counters.snapshot() };
}
