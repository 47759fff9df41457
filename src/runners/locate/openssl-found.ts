/** What the searches for OpenSSL, old and new, say alike of the functions that they found. */
import type { UprobeProgram } from '../../addon.ts';
import type { ElfView } from './elf.ts';
import type { Located } from './locator.ts';

/** How each function is hooked: the internal ones have the signature of the _ex ones. */
const PROGRAMS = {
  ssl_read_internal: 'ssl_read_ex',
  ssl_write_internal: 'ssl_write_ex',
  SSL_read: 'ssl_read',
  SSL_write: 'ssl_write',
} as const;
type FunctionName = keyof typeof PROGRAMS;

/** SSL_read and SSL_write are some hundred bytes. */
const CALLER_BYTES = 0x200;
const CALL = 0xe8;
const JUMP = 0xe9;
const BRANCH_BYTES = 5;

/** A function for each direction, by its address. */
export function found(elf: ElfView, functions: Readonly<Partial<Record<FunctionName, number>>>): Located {
  const named = Object.entries(functions) as [FunctionName, number][];
  const offsets = named.map(([, address]) => elf.offsetOf(address));
  const probes = named.flatMap(([name], index): { program: UprobeProgram; offset: number }[] => {
    const offset = offsets[index] ?? null;
    // The exit first: between the two attachments a start without an end would be kept for nothing.
    return offset === null ? [] : [{ program: `${PROGRAMS[name]}_exit`, offset }, { program: `${PROGRAMS[name]}_enter`, offset }];
  });
  if (offsets.includes(null) || new Set(offsets).size < named.length) return unsupported('its functions are not two of the file');
  return { kind: 'found', library: 'openssl', method: 'locator', functions: named.map(([name]) => name), probes };
}

export function unsupported(reason: string): Located {
  return { kind: 'unsupported', library: 'openssl', reason };
}

/**
 * What runs before `caller` calls `callee`; null when it does not. Looks at every
 * byte, not at every instruction: five bytes that happen to lead there are no accident.
 */
export function codeUntilCall(elf: ElfView, caller: number, callee: number): Buffer | null {
  const code = elf.readAt(caller, CALLER_BYTES);
  for (let at = 0; at + BRANCH_BYTES <= code.length; at++) {
    const isBranch = code[at] === CALL || code[at] === JUMP;
    if (isBranch && caller + at + BRANCH_BYTES + code.readInt32LE(at + 1) === callee) return code.subarray(0, at);
  }
  return null;
}
