/**
 * Places where BoringSSL and AWS-LC report an error. In their sources it is
 * OPENSSL_PUT_ERROR(library, reason), in the program
 *
 *     mov edi, library; (xor esi, esi;) mov edx, reason; lea rcx, file; mov r8d, line; call ERR_put_error
 *
 * in any order, and with fewer registers where link-time optimisation dropped
 * the argument that is always 0. Library, reason and line are constants of the
 * source: they survive stripping, optimisation and the removal of file names.
 * x86-64 only.
 */
import type { ElfView } from './elf.ts';
import { windowsOf } from './reader.ts';

export interface ErrorSite {
  readonly address: number;
  /** Small constants that are loaded there, beside the library: the reason and the line, in any order. */
  readonly constants: readonly number[];
  /** Address of the name of the source file; null where there is none. */
  readonly file: number | null;
}

export interface ErrorSitesOptions {
  /** ERR_LIB_SSL is 16, ERR_LIB_CIPHER 30. */
  readonly library: number;
  /** Only sites with one of these reasons are kept. */
  readonly reasons: ReadonlySet<number>;
}

/** Before and after the load of the library: six loads of seven bytes at most, and the call. */
const REACH = 48;
const LOADS_MAX = 6;
/** A program with more is not what we look for: AWS-LC and BoringSSL have a few thousand in all. */
const SITES_MAX = 20_000;
/** No source file has more lines; what is larger is the address of its name. */
const LINES_MAX = 65_535;

/** Yields after each window. */
export function* findErrorSites(elf: ElfView, { library, reasons }: ErrorSitesOptions): Generator<undefined, readonly ErrorSite[]> {
  const sites: ErrorSite[] = [];
  // mov edi, imm32; and what -Oz makes of it: push imm8, pop rdi.
  const needles = [Buffer.from([0xbf, library, 0, 0, 0]), Buffer.from([0x6a, library, 0x5f])];
  for (const segment of elf.code) {
    const toAddress = segment.address - segment.offset;
    for (const { bytes, offset, seen } of windowsOf(elf.reader, segment, 2 * REACH)) {
      // A place near the end of a window is near the start of the next one, with all that surrounds it.
      const first = seen === 0 ? 0 : REACH;
      const last = bytes.length - (offset + bytes.length >= segment.offset + segment.length ? 0 : REACH);
      for (const needle of needles) {
        for (let at = bytes.indexOf(needle, first); at !== -1 && at < last && sites.length < SITES_MAX; at = bytes.indexOf(needle, at + 1)) {
          const address = offset + at + toAddress;
          const values = valuesAround(bytes, at, at + needle.length)?.map(({ value, from }) => (from === null ? value : address + from + value));
          if (values?.some((value) => reasons.has(value)) === true) sites.push(siteOf(address, values));
        }
      }
      yield;
    }
  }
  return sites.sort((a, b) => a.address - b.address);
}

function siteOf(address: number, values: readonly number[]): ErrorSite {
  return { address, constants: values.filter((value) => value > 0 && value <= LINES_MAX), file: values.find((value) => value > LINES_MAX) ?? null };
}

interface Loaded {
  readonly value: number;
  /** For a value that is relative to an instruction's end: where that is, from the start of the report. */
  readonly from: number | null;
}

/** null where no call follows: then it is no report. */
function valuesAround(code: Buffer, start: number, end: number): Loaded[] | null {
  const values: Loaded[] = [];
  let at = end;
  for (let loads = 0; ; loads++) {
    const opcode = code[at];
    // call; or a jump to a call that several reports share.
    if (opcode === 0xe8 || opcode === 0xe9 || opcode === 0xeb) break;
    const load = loads < LOADS_MAX ? loadAt(code, at) : null;
    if (load === null) return null;
    at += load.length;
    add(values, load, at - start);
  }
  at = start;
  for (let loads = 0; loads < LOADS_MAX; loads++) {
    const load = loadBefore(code, at);
    if (load === null) break;
    add(values, load, at - start);
    at -= load.length;
  }
  return values;
}

function add(values: Loaded[], { value, isRelative }: Load, end: number): void {
  if (value !== null) values.push({ value, from: isRelative ? end : null });
}

const LOAD_LENGTHS = [7, 6, 5, 4, 3, 2] as const;

/** The load that ends at `end`, the longest that fits. */
function loadBefore(code: Buffer, end: number): Load | null {
  for (const length of LOAD_LENGTHS) {
    const load = end < length ? null : loadAt(code, end - length);
    if (load?.length === length) return load;
  }
  return null;
}

interface Load {
  readonly length: number;
  /** null where the register is set to 0. */
  readonly value: number | null;
  readonly isRelative: boolean;
}

/** The instruction at `at` when it loads an argument register. */
function loadAt(code: Buffer, at: number): Load | null {
  const prefix = code[at] ?? 0;
  const extended = prefix === 0x41 || prefix === 0x45 ? 1 : 0;
  const opcode = code[at + extended] ?? 0;
  const operand = code[at + extended + 1] ?? 0;
  // mov r32, imm32
  if (prefix !== 0x45 && opcode >= 0xb8 && opcode <= 0xbf && at + extended + 5 <= code.length) {
    return { length: extended + 5, value: code.readInt32LE(at + extended + 1), isRelative: false };
  }
  // xor r, r
  if ((opcode === 0x31 || opcode === 0x33) && operand >= 0xc0 && (operand >> 3 & 7) === (operand & 7)) {
    return { length: extended + 2, value: null, isRelative: false };
  }
  // lea r64, [rip + disp32]
  if ((prefix === 0x48 || prefix === 0x4c) && code[at + 1] === 0x8d && ((code[at + 2] ?? 0) & 0xc7) === 0x05 && at + 7 <= code.length) {
    return { length: 7, value: code.readInt32LE(at + 3), isRelative: true };
  }
  // push imm8; pop r64
  if (prefix === 0x6a) {
    const wide = code[at + 2] === 0x41 ? 1 : 0;
    const pop = code[at + 2 + wide] ?? 0;
    if (pop >= 0x58 && pop <= 0x5f) return { length: 3 + wide, value: code.readInt8(at + 1), isRelative: false };
  }
  return null;
}
