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

/** One test of what only x86-64 has. */
export function itOnX64(name: string, body: () => void | Promise<void>): void {
  if (process.arch === 'x64') it(name, body);
  else it.skip(`${name} (skipped: needs an x86-64 machine)`, body);
}

/** Tests that boot kernels of Debian for x86-64 need that processor as well as root. */
export function describeGuests(name: string, body: () => void): void {
  if (process.arch === 'x64') describeKernel(name, body);
  else describe.skip(`${name} (skipped: needs an x86-64 machine)`, body);
}
