/**
 * Where in a file TLS plaintext passes, by everything we know, in this order:
 * its symbols (at once), what was found in the same file before, each locator,
 * our table of build ids. What each step brought is kept: it is the answer to
 * "why was nothing captured".
 */
import type { Addon } from '../../addon.ts';
import { causeText } from '../../errors.ts';
import type { ProbeStep } from '../../event.ts';
import { LIMITS } from '../../limits.ts';
import { Counters } from '../../stats.ts';
import { locateTls, type TlsPlan } from '../tls-locate.ts';
import { readElfView, type ElfView } from './elf.ts';
import { knownBuild } from './known-builds.ts';
import { finishInSlices, type Located, type Locator } from './locator.ts';
import { LOCATORS } from './locators.ts';
import type { LocatedStore } from './located-store.ts';
import { openReader, type FileReader } from './reader.ts';

/** A plan and how it came about. */
export interface Found {
  readonly plan: TlsPlan;
  readonly buildId: string | null;
  readonly steps: readonly ProbeStep[];
}

export interface Ladder {
  /**
   * Climbs until something is found. Symbols are looked at before it returns;
   * what needs a search waits for the searches before it: one at a time, in
   * slices. Never rejects.
   */
  locate(path: string): Promise<Found>;
  counters(): Readonly<Record<string, number>>;
  /** What is searched or waits for it is given up. Safe twice. */
  close(): void;
}

export interface LadderOptions {
  readonly readElf: Addon['readElf'];
  /** null: nothing is kept from run to run. */
  readonly store: LocatedStore | null;
  readonly locators?: readonly Locator[];
}

export function createLadder({ readElf, store, locators = LOCATORS }: LadderOptions): Ladder {
  const counters = new Counters(['searched']);
  const stop = new AbortController();
  let searches: Promise<unknown> = Promise.resolve();

  return {
    async locate(path) {
      const plan = locateTls(path, readElf);
      const symbols: ProbeStep = { step: 'symbols', outcome: outcomeOf(plan) };
      // A library that symbols name but cannot hook may still be found by a locator.
      const isAnswer = plan.kind === 'hook' || plan.kind === 'failed';
      if (isAnswer) return { plan, buildId: buildIdOf(path), steps: [symbols] };
      counters.add('searched');
      const search = searches.then(() => searchFile(path, { store, locators, signal: stop.signal }));
      searches = search;
      const found = await search;
      const steps = [symbols, ...found.steps];
      return found.plan.kind === 'none' ? { plan, buildId: found.buildId, steps } : { ...found, steps };
    },
    counters: () => ({ ...counters.snapshot(), ...store?.counters() }),
    close: () => stop.abort(new Error('the capture has ended')),
  };
}

/** Reads a few hundred bytes. */
function buildIdOf(path: string): string | null {
  return withFile(path, (elf) => elf?.buildId ?? null) ?? null;
}

function withFile<T>(path: string, use: (elf: ElfView | null) => T): T | null {
  let reader: FileReader | null = null;
  try {
    reader = openReader(path);
    return use(readElfView(reader));
  } catch {
    return null;
  } finally {
    reader?.close();
  }
}

interface SearchOptions {
  readonly store: LocatedStore | null;
  readonly locators: readonly Locator[];
  readonly signal: AbortSignal;
}

async function searchFile(path: string, { store, locators, signal }: SearchOptions): Promise<Found> {
  let reader: FileReader | null = null;
  try {
    reader = openReader(path);
    const elf = readElfView(reader);
    if (elf === null) return { plan: { kind: 'none' }, buildId: null, steps: [] };
    const { buildId } = elf;
    const codeBytes = elf.code.reduce((sum, segment) => sum + segment.length, 0);
    if (codeBytes < LIMITS.tlsSearchCodeBytes) {
      return { plan: { kind: 'none' }, buildId, steps: [{ step: 'locator', outcome: `${codeBytes} bytes of code are too few for a TLS library` }] };
    }
    const kept = store?.get(elf, reader) ?? null;
    if (kept !== null) return { ...kept, buildId };
    const found = await climb(elf, locators, signal);
    store?.put(elf, reader, found);
    return { ...found, buildId };
  } catch (error) {
    return { plan: { kind: 'failed', reason: causeText(error) }, buildId: null, steps: [] };
  } finally {
    reader?.close();
  }
}

async function climb(elf: ElfView, locators: readonly Locator[], signal: AbortSignal): Promise<Pick<Found, 'plan' | 'steps'>> {
  const steps: ProbeStep[] = [];
  const results: Located[] = [];
  for (const { step, name, search } of locators) {
    const located = await finishInSlices(search(elf), { sliceMs: LIMITS.tlsSearchSliceMs, signal });
    results.push(located);
    steps.push({ step, outcome: `${name}: ${located.kind === 'found' ? `found ${located.functions.join(', ')}` : located.reason}` });
  }
  const plan = planOf(results);
  if (plan.kind === 'hook') return { plan, steps };
  const known = knownBuild(elf);
  steps.push({ step: 'build-id', outcome: known === null ? 'not in our table' : `found ${known.functions.join(', ')}` });
  return { plan: known === null ? plan : planOf([known]), steps };
}

/** All that was found, as one plan; else what is known to be there; else none. */
function planOf(results: readonly Located[]): TlsPlan {
  const found = results.filter((located) => located.kind === 'found');
  const [first] = found;
  if (first === undefined) return results.find((located) => located.kind === 'unsupported') ?? { kind: 'none' };
  return {
    kind: 'hook',
    library: first.library,
    method: first.method,
    functions: found.flatMap(({ functions }) => functions),
    probes: found.flatMap(({ library, probes }) => probes.map((probe) => (library === first.library ? probe : { ...probe, library }))),
  };
}

function outcomeOf(plan: TlsPlan): string {
  switch (plan.kind) {
    case 'hook': return `found ${plan.functions.join(', ')}`;
    case 'none': return 'none of a TLS library';
    case 'unsupported':
    case 'failed': return plan.reason;
  }
}
