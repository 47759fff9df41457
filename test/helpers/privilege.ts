/**
 * Kernel tests need root. Where it is missing they are skipped under a name that
 * says so; on a build machine (CI) they run all the same, and fail.
 */
import { describe } from 'vitest';

const isRoot = process.getuid?.() === 0;

export function describeKernel(name: string, body: () => void): void {
  if (isRoot || process.env['CI'] !== undefined) describe(name, body);
  else describe.skip(`${name} (skipped: needs root)`, body);
}
