/** The repository's own files, for the checks on them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { ROOT } from './files.ts';

/** What is installed, built or git's. */
const NOT_OURS = new Set(['node_modules', 'dist', 'build', '.git', '.cache', 'coverage']);

const TEXT = /\.(ts|mjs|js|svelte|html|css|json|md|c|h|cc|gyp|S|sh|py)$|^(\.gitignore|\.ci\/run|LICENSE)$/;

export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly from: string;
  /** A path from the root of the repository, or a package. */
  readonly target: string;
  readonly relative: boolean;
  readonly typeOnly: boolean;
}

export function readSources(): readonly SourceFile[] {
  return walk('').filter((path) => TEXT.test(path)).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

export function foldersOf(path: string): readonly string[] {
  if (!existsSync(join(ROOT, path))) return [];
  return readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !NOT_OURS.has(entry.name))
    .map((entry) => posix.join(path, entry.name));
}

/** Static and dynamic imports with a literal name. */
export function importsOf({ path, text }: SourceFile): readonly Import[] {
  const pattern = /^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s*'([^']+)'|^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;
  return Array.from(withoutComments(text).matchAll(pattern), (match) => {
    const name = match[2] ?? match[3] ?? match[4] ?? '';
    const relative = name.startsWith('.');
    const target = relative ? posix.join(posix.dirname(path), name) : name;
    return { from: path, target, relative, typeOnly: match[1] !== undefined };
  });
}

export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
}

function walk(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (NOT_OURS.has(entry.name)) return [];
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [path] : [];
  });
}
