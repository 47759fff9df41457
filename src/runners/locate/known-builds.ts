/**
 * The last step of the ladder: builds whose functions are known, as data
 * (known-builds.json). It helps where the locators find nothing: what they find
 * by themselves, they find anyway.
 *
 * To add one: `readelf -n FILE` shows the build id; offsets are those in the
 * file, not addresses (`agentsight-ts doctor --pid` prints those of a build that
 * a locator has found). The exit of a function comes before its entry.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsLibrary } from '../../event.ts';
import { PACKAGE_ROOT } from '../../version.ts';
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';
import type { Located } from './locator.ts';

export const KNOWN_BUILDS_FILE = join(PACKAGE_ROOT, 'src/runners/locate/known-builds.json');

/** One row of the table. */
export interface KnownBuild {
  readonly buildId: string;
  /** Program and version, for readers of this table. */
  readonly of: string;
  readonly library: TlsLibrary;
  readonly functions: readonly string[];
  readonly probes: readonly PlannedProbe[];
}

let table: readonly KnownBuild[] | null = null;

/** Read once, when a locator first found nothing. The file is part of the program: a test holds it against its schema, a trace need not load one. */
export function knownBuilds(): readonly KnownBuild[] {
  table ??= (JSON.parse(readFileSync(KNOWN_BUILDS_FILE, 'utf8')) as { readonly builds: readonly KnownBuild[] }).builds;
  return table;
}

export function knownBuild(elf: ElfView, builds: readonly KnownBuild[] = knownBuilds()): Extract<Located, { kind: 'found' }> | null {
  const build = elf.buildId === null ? undefined : builds.find(({ buildId }) => buildId === elf.buildId);
  if (build === undefined || !areInCode(elf, build.probes)) return null;
  const { library, functions, probes } = build;
  return { kind: 'found', library, method: 'build-id', functions, probes };
}

/** A probe anywhere else would be refused by the kernel, or break the program. */
export function areInCode(elf: ElfView, probes: readonly PlannedProbe[]): boolean {
  return probes.every(({ offset }) => elf.code.some((segment) => offset >= segment.offset && offset - segment.offset < segment.length));
}
