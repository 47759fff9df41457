/**
 * The libraries that a program file asks for, and those that they ask for:
 * what its process will have mapped once it runs, known from the files alone.
 *
 * Libraries are looked for in the system's folders; RPATH, LD_LIBRARY_PATH and
 * what is loaded later by dlopen are not followed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Addon } from '../addon.ts';
import { AgentsightError } from '../errors.ts';
import { libraryFolders } from './tls-system.ts';

/** A desktop program asks for some two hundred; beyond this the rest is not looked at. */
const LIBRARIES_MAX = 1024;

/** Paths, the program's own first. null when it is no ELF file that can be read. */
export function neededFiles(program: string, readElf: Addon['readElf']): readonly string[] | null {
  const own = neededNames(program, readElf);
  if (own === null) return null;
  const folders = [...libraryFolders()];
  const files = new Map<string, string>();
  const waiting = [...own];
  for (let name = waiting.pop(); name !== undefined && files.size < LIBRARIES_MAX; name = waiting.pop()) {
    if (files.has(name)) continue;
    const folder = folders.find((candidate) => existsSync(join(candidate, name)));
    if (folder === undefined) continue;
    const path = join(folder, name);
    files.set(name, path);
    waiting.push(...(neededNames(path, readElf) ?? []));
  }
  return [program, ...files.values()];
}

function neededNames(path: string, readElf: Addon['readElf']): readonly string[] | null {
  try {
    return readElf(path, []).needed;
  } catch (error) {
    if (error instanceof AgentsightError) return null;
    throw error;
  }
}
