/**
 * A locator finds the functions of one TLS library in a program that does not
 * name them, from its code and data. It is a generator that yields between
 * windows of some milliseconds: the search of a large file shares the thread
 * with the collector, whose ring must not fill meanwhile.
 *
 * Results are plain data: they are cached on disk.
 */
import type { ProbeMethod, TlsLibrary } from '../../event.ts';
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';

export interface Locator {
  /** What it looks for, as people call it: `BoringSSL`. Also names its cached results. */
  readonly name: string;
  readonly step: 'locator' | 'pclntab';
  search(elf: ElfView): Search;
}

export type Search = Generator<undefined, Located>;

export type Located =
  | {
    readonly kind: 'found';
    readonly library: TlsLibrary;
    readonly method: ProbeMethod;
    readonly functions: readonly string[];
    /** All of them or none are attached, in this order. */
    readonly probes: readonly PlannedProbe[];
  }
  /** The library is there, but not a place to hook. */
  | { readonly kind: 'unsupported'; readonly library: TlsLibrary; readonly reason: string }
  | { readonly kind: 'absent'; readonly reason: string };

export function absent(reason: string): Located {
  return { kind: 'absent', reason };
}

/** Runs a search to its end without a pause. */
export function finish(search: Search): Located {
  for (;;) {
    const step = search.next();
    if (step.done === true) return step.value;
  }
}

export interface SliceOptions {
  readonly sliceMs: number;
  readonly signal: AbortSignal;
}

/** Runs it in slices: the thread is given back after each one. Rejects when it is aborted. */
export async function finishInSlices(search: Search, { sliceMs, signal }: SliceOptions): Promise<Located> {
  for (;;) {
    signal.throwIfAborted();
    const endMs = performance.now() + sliceMs;
    do {
      const step = search.next();
      if (step.done === true) return step.value;
    } while (performance.now() < endMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
