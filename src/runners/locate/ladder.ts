/**
 * Where in a file TLS plaintext passes, by everything we know, in this order:
 * its symbols (at once), then what was found in the same file before, then
 * each locator, then our table of build ids. What each step brought is kept:
 * it is the answer to "why was nothing captured".
 */
import type { Addon } from '../../addon.ts';
import { causeText } from '../../errors.ts';
import type { ProbeStep } from '../../event.ts';
import { LIMITS } from '../../limits.ts';
import { locateTls, type TlsPlan } from '../tls-locate.ts';
import { readElfView, type ElfView } from './elf.ts';
import { finishInSlices, type Located, type Locator } from './locator.ts';
import { LOCATORS } from './locators.ts';
import { openReader } from './reader.ts';

/** A plan and how it came about. */
export interface Found {
  readonly plan: TlsPlan;
  readonly buildId: string | null;
  readonly steps: readonly ProbeStep[];
}

export interface Ladder {
  /** Symbols alone: some milliseconds. A plan of `none` is not the last word. */
  symbols(path: string): Found;
  /** The rest of the ladder, for a file without symbols. Never rejects. */
  search(path: string): Promise<Found>;
}

export interface LadderOptions {
  readonly readElf: Addon['readElf'];
  readonly locators?: readonly Locator[];
}

export function createLadder({ readElf, locators = LOCATORS }: LadderOptions): Ladder {
  return {
    symbols(path) {
      const plan = locateTls(path, readElf);
      return { plan, buildId: null, steps: [{ step: 'symbols', outcome: outcomeOf(plan) }] };
    },
    async search(path) {
      const steps: ProbeStep[] = [];
      try {
        const reader = openReader(path);
        try {
          const elf = readElfView(reader);
          if (elf === null) return { plan: { kind: 'none' }, buildId: null, steps };
          return { plan: await climb(elf, locators, steps), buildId: elf.buildId, steps };
        } finally {
          reader.close();
        }
      } catch (error) {
        return { plan: { kind: 'failed', reason: causeText(error) }, buildId: null, steps };
      }
    },
  };
}

async function climb(elf: ElfView, locators: readonly Locator[], steps: ProbeStep[]): Promise<TlsPlan> {
  let known: Located | null = null;
  for (const locator of locators) {
    const located = await finishInSlices(locator.search(elf), LIMITS.tlsSearchSliceMs);
    steps.push({ step: locator.step, outcome: `${locator.name}: ${located.kind === 'found' ? `found ${located.functions.join(', ')}` : located.reason}` });
    if (located.kind === 'found') return planOf(located);
    if (located.kind === 'unsupported') known ??= located;
  }
  return known === null ? { kind: 'none' } : planOf(known);
}

function planOf(located: Located): TlsPlan {
  switch (located.kind) {
    case 'found': return { ...located, kind: 'hook' };
    case 'unsupported': return located;
    case 'absent': return { kind: 'none' };
  }
}

function outcomeOf(plan: TlsPlan): string {
  switch (plan.kind) {
    case 'hook': return `found ${plan.functions.join(', ')}`;
    case 'none': return 'none of a TLS library';
    case 'unsupported':
    case 'failed': return plan.reason;
  }
}
