/**
 * The libraries that a program file asks for, and those that they ask for:
 * what its process will have mapped once it runs, known from the files alone.
 *
 * They are looked for as the dynamic linker does (ld.so(8)): in RPATH of the file that asks and of those that asked for
 * it, in LD_LIBRARY_PATH, in RUNPATH of the file that asks, then in the system's folders. `$ORIGIN` is known, `$LIB` and
 * `$PLATFORM` are not, nor are variants for newer processors (glibc-hwcaps), nor what is loaded later by dlopen.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Addon, ElfInfo } from '../addon.ts';
import { AgentsightError } from '../errors.ts';
import { libraryFolders } from './tls-system.ts';

/** What the linker takes from the process that becomes the program. */
export interface LinkerPlace {
  readonly cwd: string;
  /** LD_LIBRARY_PATH; null where it is not set. */
  readonly libraryPath: string | null;
}

/** A desktop program asks for some two hundred; beyond this the rest is not looked at. */
const LIBRARIES_MAX = 1024;
/** Folders in one path, and of all files that asked for each other. */
const FOLDERS_MAX = 256;
/** Set-user-id or set-group-id: the linker trusts nobody's environment then. */
const SET_ID_BITS = 0o6000;

interface Asking {
  readonly name: string;
  /** Where RPATH leads: of the file that asks first. Empty where that has RUNPATH. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Paths, the program's own first. null when it is no ELF file that can be read. */
export function neededFiles(program: string, readElf: Addon['readElf'], place: LinkerPlace | null = null): readonly string[] | null {
  const elf = elfOf(program, readElf);
  if (elf === null) return null;
  const environment = environmentFolders(program, place);
  const system = [...libraryFolders()];
  const files = new Map<string, string>();
  const waiting = asking(realPath(program), elf, []);
  for (let next = waiting.pop(); next !== undefined && files.size < LIBRARIES_MAX; next = waiting.pop()) {
    const { name, before, after } = next;
    if (name === '' || files.has(name)) continue;
    const path = name.includes('/') ? name : inFolders([before, environment, after, system], name);
    if (path === null || !existsSync(path)) continue;
    files.set(name, path);
    const library = elfOf(path, readElf);
    if (library !== null) waiting.push(...asking(path, library, before));
  }
  return [program, ...files.values()];
}

/** Those of them that are in none of the system's folders. */
export function broughtFiles(program: string, readElf: Addon['readElf'], place: LinkerPlace): readonly string[] {
  const system = libraryFolders();
  return (neededFiles(program, readElf, place) ?? []).slice(1).filter((path) => !system.has(dirname(path)));
}

function asking(path: string, { needed, rpath, runpath }: ElfInfo, inherited: readonly string[]): Asking[] {
  const origin = dirname(path);
  // RUNPATH of a file takes the place of its RPATH, and of those that it would inherit.
  const before = runpath === null ? [...foldersOf(rpath, origin), ...inherited].slice(0, FOLDERS_MAX) : [];
  const after = foldersOf(runpath, origin);
  return needed.map((name) => ({ name, before, after }));
}

function foldersOf(text: string | null, origin: string): string[] {
  if (text === null) return [];
  const folders = text.split(':', FOLDERS_MAX).map((folder) => folder.replace(/\$(?:ORIGIN\b|\{ORIGIN\})/g, origin));
  // One that is relative, or empty, means wherever the program is started: not for libraries that we open.
  return folders.filter((folder) => isAbsolute(folder));
}

/** An empty entry is the working directory. */
function environmentFolders(program: string, place: LinkerPlace | null): string[] {
  if (place === null || place.libraryPath === null || place.libraryPath === '' || isSetId(program)) return [];
  return place.libraryPath.split(/[:;]/, FOLDERS_MAX).map((folder) => resolve(place.cwd, folder));
}

function inFolders(lists: readonly (readonly string[])[], name: string): string | null {
  for (const folders of lists) {
    const folder = folders.find((candidate) => existsSync(join(candidate, name)));
    if (folder !== undefined) return join(folder, name);
  }
  return null;
}

function isSetId(program: string): boolean {
  return ((statSync(program, { throwIfNoEntry: false })?.mode ?? 0) & SET_ID_BITS) !== 0;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Gone meanwhile.
    return path;
  }
}

function elfOf(path: string, readElf: Addon['readElf']): ElfInfo | null {
  try {
    return readElf(path, []);
  } catch (error) {
    if (error instanceof AgentsightError) return null;
    throw error;
  }
}
