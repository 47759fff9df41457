/** Which capabilities this process holds, from /proc/self/status: what the kernel will ask, not who we are. */
import { readFileSync } from 'node:fs';
import { missing, note, ok } from './check.ts';
import type { Check } from './check.ts';

/** Bits of capability(7). */
const CAPABILITY = { CAP_SYS_PTRACE: 19, CAP_SYS_ADMIN: 21, CAP_PERFMON: 38, CAP_BPF: 39 } as const;
type CapabilityName = keyof typeof CAPABILITY;

/** BPF programs and maps; their access to kernel memory and uprobes. CAP_SYS_ADMIN stands for both. */
const NEEDED: readonly CapabilityName[] = ['CAP_BPF', 'CAP_PERFMON'];

export function effectiveCapabilities(status = readFileSync('/proc/self/status', 'utf8')): ReadonlySet<CapabilityName> {
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const names = Object.keys(CAPABILITY) as readonly CapabilityName[];
  return new Set(names.filter((name) => (bits >> BigInt(CAPABILITY[name]) & 1n) === 1n));
}

export function mayTrace(held: ReadonlySet<CapabilityName>): boolean {
  return held.has('CAP_SYS_ADMIN') || NEEDED.every((name) => held.has(name));
}

export function checkPrivilege(held: ReadonlySet<CapabilityName>): readonly Check[] {
  if (!mayTrace(held)) {
    const absent = NEEDED.filter((name) => !held.has(name)).join(' and ');
    return [missing('privilege', `${absent} not held: the kernel will refuse BPF programs`, { fix: 'sudo agentsight-ts doctor', exit: 3 })];
  }
  const found = ok('privilege', [...held].sort().join(' '));
  if (held.has('CAP_SYS_PTRACE') || process.getuid?.() === 0) return [found];
  const limited = note('ptrace', "CAP_SYS_PTRACE not held: the libraries of other users' processes cannot be found", 'run as root');
  return [found, limited];
}
