/**
 * Kernel tests need root. Where it is missing they are skipped under a name that
 * says so; on a build machine (CI) they run all the same, and fail.
 */
import { describe, it } from 'vitest';

const isRoot = process.getuid?.() === 0;

export function describeKernel(name: string, body: () => void): void {
  if (isRoot || process.env['CI'] !== undefined) describe(name, body);
  else describe.skip(`${name} (skipped: needs root)`, body);
}

/** One test that needs root, by the same rule. */
export function itAsRoot(name: string, body: () => void | Promise<void>): void {
  if (isRoot || process.env['CI'] !== undefined) it(name, body);
  else it.skip(`${name} (skipped: needs root)`, body);
}
