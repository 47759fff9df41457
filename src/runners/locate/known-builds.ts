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
import { z } from 'zod';
import { UPROBE_PROGRAMS } from '../../addon.ts';
import { PACKAGE_ROOT } from '../../version.ts';
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';
import type { Located } from './locator.ts';

const buildSchema = z.strictObject({
  buildId: z.string().regex(/^[0-9a-f]{8,128}$/),
  /** Program and version, for readers of this table. */
  of: z.string().min(1),
  library: z.enum(['openssl', 'gnutls', 'nss', 'boringssl', 'rustls', 'go']),
  functions: z.array(z.string().min(1)).min(1),
  probes: z.array(z.strictObject({ program: z.enum(UPROBE_PROGRAMS), offset: z.int().positive() })).min(1),
});
const tableSchema = z.strictObject({ builds: z.array(buildSchema) });

export type KnownBuild = z.infer<typeof buildSchema>;

let table: readonly KnownBuild[] | null = null;

/** Read once, when a locator first found nothing. Throws when the file is not as it must be: a test reads it. */
export function knownBuilds(): readonly KnownBuild[] {
  table ??= tableSchema.parse(JSON.parse(readFileSync(join(PACKAGE_ROOT, 'src/runners/locate/known-builds.json'), 'utf8'))).builds;
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
