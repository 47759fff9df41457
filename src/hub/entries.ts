/**
 * Where the compiled entry files of our child processes lie. Always those in
 * dist/, also when this file itself runs from its source.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above this file');
    folder = parent;
  }
  return folder;
}

/** `name` as in `src/hub/child`. */
export function compiledEntry(name: string): string {
  return join(packageRoot(), 'dist', `${name}.js`);
}
