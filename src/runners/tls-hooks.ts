/** Probes in files: all of a plan or none, and no more than the limit in all. */
import type { Capture } from '../addon.ts';
import { tlsLibraryNumber } from '../decode/tls-library.ts';
import { causeText } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';
import type { TlsPlan } from './tls-locate.ts';

export type HookPlan = Extract<TlsPlan, { kind: 'hook' }>;

/** What is attached in a file. */
export interface Hooks {
  readonly plan: HookPlan;
  readonly ids: readonly number[];
}

export interface TlsHooks {
  /** The hooks, or why there are none: half of them would show half a conversation. */
  attach(place: string, plan: HookPlan): Hooks | string;
  /** The places are other code now. */
  detach(hooks: Hooks): void;
  /** The process that hooks are made for; null: all. */
  onlyPid(): number | null;
  /** Detaches the hooks of one process; those that follow are for all. */
  forAll(): void;
  counters(): Readonly<Record<string, number>>;
}

export function createTlsHooks(capture: Pick<Capture, 'attachUprobe' | 'detachUprobe'>, onlyPid: number | null): TlsHooks {
  const counters = new Counters(['probes', 'detached_probes', 'refused_probes']);
  let pid = onlyPid;
  /** Hooks of one process. */
  const own = new Set<Hooks>();

  function detach(hooks: Hooks): void {
    for (const id of hooks.ids) capture.detachUprobe(id);
    counters.add('detached_probes', hooks.ids.length);
    own.delete(hooks);
  }

  return {
    attach(place, plan) {
      const held = counters.get('probes') - counters.get('detached_probes');
      if (held + plan.probes.length > LIMITS.tlsProbes) {
        counters.add('refused_probes', plan.probes.length);
        return `the limit of ${LIMITS.tlsProbes} probes is reached`;
      }
      const ids: number[] = [];
      try {
        for (const { program, offset, library = plan.library } of plan.probes) {
          ids.push(capture.attachUprobe({ program, path: place, offset, pid, cookie: tlsLibraryNumber(library) }));
        }
      } catch (error) {
        for (const id of ids) capture.detachUprobe(id);
        return causeText(error);
      }
      counters.add('probes', ids.length);
      const hooks = { plan, ids };
      if (pid !== null) own.add(hooks);
      return hooks;
    },
    detach,
    onlyPid: () => pid,
    forAll() {
      pid = null;
      for (const hooks of own) detach(hooks);
    },
    counters: () => counters.snapshot(),
  };
}

/** At the same places for the same purpose: what is attached may stay, and nothing passes two probes meanwhile. */
export function areSameProbes(a: HookPlan, b: HookPlan): boolean {
  return a.library === b.library && JSON.stringify(a.probes) === JSON.stringify(b.probes);
}
