/**
 * What was found in a file, kept from run to run: a small file of JSON per
 * searched file, named by its build id and size, or, where it has none, by its inode, times and size, with a checksum before it. What says that nothing is
 * there is kept as well: it took as long to find.
 *
 * A wrong offset would break the program that is hooked there, so that nothing
 * is believed which another user may have written or which is not as we wrote
 * it, and the code at each place must still be what it was.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProbeStep } from '../../event.ts';
import { LIMITS } from '../../limits.ts';
import { Counters } from '../../stats.ts';
import type { TlsPlan } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';
import { areInCode } from './known-builds.ts';
import { LOCATORS } from './locators.ts';
import type { FileReader } from './reader.ts';

export interface Kept {
  readonly plan: TlsPlan;
  readonly steps: readonly ProbeStep[];
}

export interface LocatedStore {
  /** null when nothing is kept of it, or nothing that can be trusted. */
  get(elf: ElfView, reader: FileReader): Kept | null;
  put(elf: ElfView, reader: FileReader, found: Kept): void;
  counters(): Readonly<Record<string, number>>;
}

/** Changes with every change of a locator's code: what an older one found is then looked for again. */
const REVISION = 3;
const VERSION = [REVISION, ...LOCATORS.map(({ name }) => name)].join(' ');
/** Code at each place that must be as it was: more than any two functions begin with alike. */
const CODE_BYTES = 16;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW;

interface StoredFile extends Kept {
  readonly version: string;
  /** Hex of the code at each probe, in order. */
  readonly code: readonly string[];
}

export function createLocatedStore(folder: string): LocatedStore {
  const counters = new Counters(['kept_hits', 'kept_misses', 'kept_refused', 'kept_unwritable', 'kept_dropped']);

  return {
    get(elf, reader) {
      const path = pathOf(folder, elf, reader);
      const text = path === null ? null : readOwn(path);
      if (text === null) {
        counters.add('kept_misses');
        return null;
      }
      const stored = parse(text);
      const fits = stored !== null && isAsFound(elf, reader, stored);
      counters.add(fits ? 'kept_hits' : 'kept_refused');
      return fits ? { plan: stored.plan, steps: stored.steps.map(({ step, outcome }) => ({ step, outcome: `${outcome} (kept from an earlier search)` })) } : null;
    },
    put(elf, reader, { plan, steps }) {
      const path = pathOf(folder, elf, reader);
      if (path === null || plan.kind === 'failed') return;
      const stored: StoredFile = { version: VERSION, plan, steps, code: codeAt(reader, plan) };
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        counters.add('kept_dropped', dropOldest(folder));
        // Whole or not at all, though two collectors write at once.
        writeFileSync(`${path}.${process.pid}`, sealed(JSON.stringify(stored)), { mode: 0o600, flag: 'wx' });
        renameSync(`${path}.${process.pid}`, path);
      } catch {
        counters.add('kept_unwritable');
      }
    },
    counters: () => counters.snapshot(),
  };
}

/** Without a build id it is the file itself that was searched, on this machine, as it was. */
function pathOf(folder: string, { buildId }: ElfView, { size, identity }: FileReader): string | null {
  const name = buildId !== null && /^[0-9a-f]{8,128}$/.test(buildId) ? buildId : identity;
  return name === null ? null : join(folder, `${name}-${size}.json`);
}

/** null when it is not there, not ours alone, or larger than what we write. */
function readOwn(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, OPEN_FLAGS);
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(fd);
    const isOurs = stat.isFile() && stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0;
    return isOurs && stat.size <= LIMITS.locatedFileBytes ? readFileSync(fd, 'utf8') : null;
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

/** With its own checksum before it: what a disk or a crash made of it is not believed. */
function sealed(json: string): string {
  return `${createHash('sha256').update(json).digest('hex')}\n${json}`;
}

function parse(text: string): StoredFile | null {
  const json = text.slice(text.indexOf('\n') + 1);
  if (sealed(json) !== text) return null;
  const value: unknown = JSON.parse(json);
  return isStored(value) ? value : null;
}

/** Only we write it, and it is as it was written: the version says that the rest has its form. */
function isStored(value: unknown): value is StoredFile {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === VERSION && 'plan' in value && 'steps' in value && 'code' in value;
}

function isAsFound(elf: ElfView, reader: FileReader, { plan, code }: StoredFile): boolean {
  if (plan.kind !== 'hook') return true;
  if (!areInCode(elf, plan.probes)) return false;
  const now = codeAt(reader, plan);
  return now.length === code.length && now.every((bytes, index) => bytes === code[index]);
}

function codeAt(reader: FileReader, plan: TlsPlan): string[] {
  return plan.kind === 'hook' ? plan.probes.map(({ offset }) => reader.read(offset, CODE_BYTES).toString('hex')) : [];
}

/** Makes room for one more; gives how many had to go. */
function dropOldest(folder: string): number {
  const names = readdirSync(folder);
  if (names.length < LIMITS.locatedFiles) return 0;
  const byAge = names.map((name) => ({ path: join(folder, name), ageMs: Date.now() - statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.ageMs - a.ageMs);
  const surplus = byAge.slice(0, names.length - LIMITS.locatedFiles + Math.ceil(LIMITS.locatedFiles / 8));
  for (const { path } of surplus) unlinkSync(path);
  return surplus.length;
}
