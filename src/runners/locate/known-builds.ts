/**
 * The last step of the ladder: builds whose functions somebody has found by
 * other means. Empty of what the locators find by themselves.
 *
 * To add one: `readelf -n FILE` shows the build id; offsets are those in the
 * file, not addresses (`agentsight-ts doctor --pid` prints the row of a build
 * that a locator has found, to compare with). Programs are those of
 * `UprobeProgram` in src/addon.ts, the exit of a function before its entry.
 */
import type { TlsLibrary } from '../../event.ts';
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';
import type { Located } from './locator.ts';

export interface KnownBuild {
  readonly buildId: string;
  /** Program and version, for readers of this table. */
  readonly of: string;
  readonly library: TlsLibrary;
  readonly functions: readonly string[];
  readonly probes: readonly PlannedProbe[];
}

export const KNOWN_BUILDS: readonly KnownBuild[] = [];

export function knownBuild(elf: ElfView, builds: readonly KnownBuild[] = KNOWN_BUILDS): Extract<Located, { kind: 'found' }> | null {
  const build = elf.buildId === null ? undefined : builds.find(({ buildId }) => buildId === elf.buildId);
  if (build === undefined || !areInCode(elf, build.probes)) return null;
  const { library, functions, probes } = build;
  return { kind: 'found', library, method: 'build-id', functions, probes };
}

/** A probe anywhere else would be refused by the kernel, or break the program. */
export function areInCode(elf: ElfView, probes: readonly PlannedProbe[]): boolean {
  return probes.every(({ offset }) => elf.code.some((segment) => offset >= segment.offset && offset - segment.offset < segment.length));
}
