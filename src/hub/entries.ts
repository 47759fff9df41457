/**
 * Where the compiled entry files of our child processes lie. Always those in
 * dist/, also when this file itself runs from its source.
 */
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../version.ts';

/** `name` as in `src/hub/child`. */
export function compiledEntry(name: string): string {
  return join(PACKAGE_ROOT, 'dist', `${name}.js`);
}
