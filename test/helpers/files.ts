/** Paths of the checkout, and folders that are gone after the test. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with package.json, from the sources and from dist/ alike. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

export const CLI = join(ROOT, 'bin/agentsight-ts.mjs');
export const CERTIFICATE_PROGRAM = join(ROOT, 'test/programs/certificate.mjs');

export function programPath(name: string): string {
  return join(ROOT, 'test/programs', name);
}

export interface TempDir {
  readonly path: string;
  file(name: string): string;
  remove(): void;
}

export function tempDir(): TempDir {
  const path = mkdtempSync(join(tmpdir(), 'agentsight-test-'));
  return {
    path,
    file: (name) => join(path, name),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('no package.json above the tests');
  return findRoot(parent);
}
