/**
 * Go's crypto/tls: (*Conn).Write, Read and Close, by Go's own function table.
 *
 * A Go function is never hooked at its return address: the runtime moves and
 * inspects stacks, and finds an address there that is not its own. Its return
 * instructions are hooked instead, all of them, found by walking the code
 * instruction by instruction. Its entry is hooked at the conditional jump of its
 * stack check, which the kernel emulates (0.5 µs) where it must single-step the
 * comparison before it (9 µs); the arguments are still in their registers. When
 * the jump is taken, the stack grows and the function begins again, so that
 * the program must not count that pass (bpf/go.bpf.c looks at the flags).
 *
 * Arguments are in registers from Go 1.17 on, and so is the current goroutine,
 * which the stack check shows. Older programs are named and not hooked.
 */
import type { PlannedProbe } from '../tls-locate.ts';
import type { UprobeProgram } from '../../addon.ts';
import type { ElfView } from './elf.ts';
import { readGoTable, type GoFunction } from './go-functions.ts';
import { absent, type Located, type Locator, type Search } from './locator.ts';
import { instructionLength } from './x86-length.ts';

interface Wanted {
  readonly name: string;
  readonly enter: UprobeProgram;
  readonly exit: UprobeProgram | null;
  readonly optional: boolean;
}

const WANTED: readonly Wanted[] = [
  { name: 'crypto/tls.(*Conn).Read', enter: 'go_read_enter', exit: 'go_read_return', optional: false },
  { name: 'crypto/tls.(*Conn).Write', enter: 'go_write_enter', exit: null, optional: false },
  { name: 'crypto/tls.(*Conn).Close', enter: 'go_close_enter', exit: null, optional: true },
];

/** The stack check compares with the limit in the goroutine, R14: `cmp 0x10(%r14),%rsp` or, of a large frame, `%r12`. */
const CHECK_SMALL = Buffer.from([0x49, 0x3b, 0x66, 0x10]);
const CHECK_LARGE = Buffer.from([0x4d, 0x3b, 0x66, 0x10]);
const LEA_R12_RSP = [Buffer.from([0x4c, 0x8d, 0x64, 0x24]), Buffer.from([0x4c, 0x8d, 0xa4, 0x24])];
/** `mov %fs:-8,%rcx`: how a function found its goroutine before Go 1.17. */
const OLD_GOROUTINE = Buffer.from([0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff]);
const JBE_SHORT = 0x76;
const JBE_LONG = Buffer.from([0x0f, 0x86]);
const RET = 0xc3;
/** A function of crypto/tls is some kilobytes. */
const FUNCTION_BYTES_MAX = 256 * 1024;
/** Where Go code starts is looked for so far into a segment: C code of cgo programs comes before it. */
const ALIGNMENT = 16;

export const goCryptoTls: Locator = { name: 'Go crypto/tls', step: 'pclntab', search: searchGo };

function* searchGo(elf: ElfView): Search {
  const table = readGoTable(elf);
  if (table === 'absent') return absent('no function table of Go');
  if ('reason' in table) return unsupported(table.reason);
  const found = yield* table.find(WANTED.map(({ name }) => name));
  if (found.size === 0) return absent('a Go program without crypto/tls');
  const missing = WANTED.find(({ name, optional }) => !optional && !found.has(name));
  if (missing !== undefined) return unsupported(`${missing.name} was left out by the linker`);
  if (elf.machine !== 'x86-64') return unsupported(`Go on ${elf.machine} is not captured`);
  let reason = 'the start of its code was not found';
  for (const start of yield* textStarts(elf, table.textStart, [...found.values()])) {
    const plan = planAt(elf, start, found);
    if (typeof plan !== 'string') return plan;
    reason = plan;
  }
  return unsupported(reason);
}

function unsupported(reason: string): Located {
  return { kind: 'unsupported', library: 'go', reason };
}

/** What the table says, else the start of the code section, else wherever all functions begin with a stack check. */
function* textStarts(elf: ElfView, said: number | null, functions: readonly GoFunction[]): Generator<undefined, readonly number[]> {
  if (said !== null) return [said];
  const section = elf.section('.text');
  const likely = section === null ? [] : [section.address];
  if (likely.some((start) => functions.every((found) => checkLength(codeOf(elf, start, found)) !== null))) return likely;
  const first = functions[0];
  if (first === undefined || section === null) return likely;
  // C code comes first, where a C linker made the program: the first function is looked for from there on.
  for (let start = section.address; start + first.start < section.address + section.length; start += ALIGNMENT) {
    if (functions.every((found) => checkLength(elf.readAt(start + found.start, 16)) !== null)) return [start];
    if ((start / ALIGNMENT) % 1024 === 0) yield;
  }
  return likely;
}

function codeOf(elf: ElfView, textStart: number, { start, end }: GoFunction): Buffer {
  return elf.readAt(textStart + start, Math.min(Math.max(end - start, 0), FUNCTION_BYTES_MAX));
}

/** A plan, or why there is none. */
function planAt(elf: ElfView, textStart: number, found: ReadonlyMap<string, GoFunction>): Located | string {
  const probes: PlannedProbe[] = [];
  const functions: string[] = [];
  for (const { name, enter, exit } of WANTED) {
    const place = found.get(name);
    if (place === undefined) continue;
    const offset = elf.offsetOf(textStart + place.start);
    const code = codeOf(elf, textStart, place);
    const jump = checkLength(code);
    if (offset === null || jump === null) {
      const isOld = code.subarray(0, OLD_GOROUTINE.length).equals(OLD_GOROUTINE);
      return isOld ? 'a program of Go before 1.17, which passes arguments on the stack' : `${name} does not begin as Go functions do`;
    }
    const returns = exit === null ? [] : returnsOf(code);
    if (returns === null) return `the code of ${name} has an instruction that we do not know`;
    functions.push(name);
    // The returns first: between the two attachments a start without an end would be kept for nothing.
    if (exit !== null) for (const at of returns) probes.push({ program: exit, offset: offset + at });
    probes.push({ program: enter, offset: offset + jump });
  }
  return { kind: 'found', library: 'go', method: 'pclntab', functions, probes };
}

/** Distance from a function's start to the jump of its stack check; null when it does not begin with one. */
export function checkLength(code: Buffer): number | null {
  let at = 0;
  const lea = LEA_R12_RSP.findIndex((bytes) => code.subarray(0, bytes.length).equals(bytes));
  if (lea !== -1) at = lea === 0 ? 5 : 8;
  const check = lea === -1 ? CHECK_SMALL : CHECK_LARGE;
  if (!code.subarray(at, at + check.length).equals(check)) return null;
  at += check.length;
  return code[at] === JBE_SHORT || code.subarray(at, at + 2).equals(JBE_LONG) ? at : null;
}

/** Where its return instructions are; null when not all of its code could be read. */
export function returnsOf(code: Buffer): number[] | null {
  const returns: number[] = [];
  for (let at = 0; at < code.length;) {
    const length = instructionLength(code, at);
    if (length === 0) return null;
    if (length === 1 && code[at] === RET) returns.push(at);
    at += length;
  }
  return returns;
}
