/**
 * Where in a file the plaintext of TLS passes: decided from its symbols and a
 * few bytes of code, without running it.
 *
 * OpenSSL (1.0.2 to 3.x, shared or linked into a program). The public pair
 * SSL_read, SSL_read_ex has a common callee, ssl_read_internal, with the
 * signature of SSL_read_ex (write likewise). One probe there covers both, leaves
 * SSL_peek out, and is about nine times cheaper: it starts with a `push`, which
 * the kernel emulates, while the public ones start with `sub`, which it has to
 * single-step. It has no exported symbol: it is the first call of SSL_read_ex,
 * and taken only when SSL_read calls it as well. Elsewhere (inlined, as in Node;
 * another signature, as ssl_write_internal of 3.3) the public symbols are used.
 *
 * Other C libraries: tls-c-libraries.ts. Go, rustls and libraries linked into a
 * program without symbols: locate/.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ElfInfo, ElfSymbol, UprobeProgram } from '../addon.ts';
import { causeText } from '../errors.ts';
import type { NamedTlsLibrary, ProbeMethod, TlsLibrary } from '../event.ts';
import { C_LIBRARY_NAMES, nameCLibrary, planCLibrary } from './tls-c-libraries.ts';

export interface PlannedProbe {
  readonly program: UprobeProgram;
  readonly offset: number;
  /** Where a file has several libraries inside: whose this is, when it is not the plan's. */
  readonly library?: TlsLibrary;
}

export type TlsPlan =
  | {
    readonly kind: 'hook';
    readonly library: TlsLibrary;
    readonly method: ProbeMethod;
    readonly functions: readonly string[];
    readonly probes: readonly PlannedProbe[];
  }
  | { readonly kind: 'unsupported'; readonly library: NamedTlsLibrary; readonly reason: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly reason: string };

export type ReadElf = (path: string, names: readonly string[]) => ElfInfo;
export type ReadBytes = (path: string, offset: number, length: number) => Uint8Array;

/** Symbols that tell the libraries apart. */
const OPENSSL_NAMES = [
  'SSL_read', 'SSL_write', 'SSL_read_ex', 'SSL_write_ex', 'SSL_up_ref', 'SSL_free', 'SSL_do_handshake', 'ossl_statem_connect', 'ossl_statem_accept',
] as const;

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];
/** Enough to hold the whole of SSL_read in every build looked at (about 140 bytes). */
const CODE_BYTES = 512;

export function locateTls(path: string, readElf: ReadElf, readBytes: ReadBytes = readFileBytes): TlsPlan {
  let symbols: ReadonlyMap<string, ElfSymbol>;
  const find = (names: readonly string[]) => new Map(readElf(path, names).symbols.map((symbol) => [symbol.name, symbol]));
  try {
    // A script, or data mapped executable: there is nothing to look for.
    if (!startsWith(readBytes(path, 0, ELF_MAGIC.length), 0, ELF_MAGIC)) return { kind: 'none' };
    // OpenSSL's own first: where a file exports them, its table of all symbols need not be read.
    symbols = find(OPENSSL_NAMES);
    if (symbols.size === 0) symbols = find(C_LIBRARY_NAMES);
  } catch (error) {
    return { kind: 'failed', reason: causeText(error) };
  }
  // The others export no SSL_read, so the order of the checks does not matter.
  if (symbols.has('SSL_read') || symbols.has('SSL_write')) return planOpenSsl(symbols, codeReader(path, readBytes));
  const other = planCLibrary(symbols);
  if (other !== null) return { ...other, kind: 'hook', method: 'symbol' };
  const named = nameCLibrary(symbols);
  return named === null ? { kind: 'none' } : { ...named, kind: 'unsupported' };
}

type ReadCode = (symbol: ElfSymbol) => Uint8Array;

function codeReader(path: string, readBytes: ReadBytes): ReadCode {
  return (symbol) => {
    try {
      return readBytes(path, symbol.offset, Math.min(symbol.size === 0 ? CODE_BYTES : symbol.size, CODE_BYTES));
    } catch {
      // Without its code the public symbol is still a place to hook.
      return new Uint8Array(0);
    }
  };
}

function planOpenSsl(symbols: ReadonlyMap<string, ElfSymbol>, readCode: ReadCode): TlsPlan {
  const read = planDirection('read', symbols, readCode);
  const write = planDirection('write', symbols, readCode);
  const optional = [...OPTIONAL, ...handshakeFunctions(symbols)].flatMap(({ name, programs }) => {
    const symbol = symbols.get(name);
    return symbol === undefined ? [] : [{ name, probes: programs.map((program) => ({ program, offset: symbol.offset })) }];
  });
  return {
    kind: 'hook',
    library: 'openssl',
    method: read.internal && write.internal ? 'internal' : 'symbol',
    functions: [...read.functions, ...write.functions, ...optional.map(({ name }) => name)],
    probes: [
      ...read.probes,
      ...write.probes,
      ...optional.flatMap(({ probes }) => probes),
    ],
  };
}

/** Without these, bytes are captured all the same. */
interface OptionalFunction {
  readonly name: string;
  readonly programs: readonly UprobeProgram[];
}

const OPTIONAL: readonly OptionalFunction[] = [
  { name: 'SSL_up_ref', programs: ['ssl_up_ref_enter'] },
  { name: 'SSL_free', programs: ['ssl_free_enter'] },
];
const HANDSHAKE: readonly UprobeProgram[] = ['handshake_exit', 'handshake_enter'];

/**
 * Handshakes that a first read or write starts, as Node's do, do not pass
 * SSL_do_handshake, only the state machine below it: that one where it has a name.
 */
function handshakeFunctions(symbols: ReadonlyMap<string, ElfSymbol>): readonly OptionalFunction[] {
  const machine = ['ossl_statem_connect', 'ossl_statem_accept'];
  const names = machine.every((name) => symbols.has(name)) ? machine : ['SSL_do_handshake'];
  return names.map((name) => ({ name, programs: HANDSHAKE }));
}

interface DirectionPlan {
  readonly internal: boolean;
  readonly functions: readonly string[];
  readonly probes: readonly PlannedProbe[];
}

function planDirection(
  direction: 'read' | 'write',
  symbols: ReadonlyMap<string, ElfSymbol>,
  readCode: ReadCode,
): DirectionPlan {
  const plain = symbols.get(`SSL_${direction}`);
  const extended = symbols.get(`SSL_${direction}_ex`);
  const pair = (name: 'read' | 'write' | 'read_ex' | 'write_ex', offset: number): PlannedProbe[] => [
    // The exit first: between the two attachments a start without an end would be kept for nothing.
    { program: `ssl_${name}_exit`, offset },
    { program: `ssl_${name}_enter`, offset },
  ];
  if (plain !== undefined && extended !== undefined) {
    const internal = commonCallee(plain, extended, readCode);
    if (internal !== null) {
      return { internal: true, functions: [`ssl_${direction}_internal`], probes: pair(`${direction}_ex`, internal) };
    }
  }
  return {
    internal: false,
    functions: [plain, extended].flatMap((symbol) => (symbol === undefined ? [] : [symbol.name])),
    probes: [
      ...(plain === undefined ? [] : pair(direction, plain.offset)),
      ...(extended === undefined ? [] : pair(`${direction}_ex`, extended.offset)),
    ],
  };
}

/** File offset of the function that both call, when the extended one hands its arguments on untouched. */
function commonCallee(plain: ElfSymbol, extended: ElfSymbol, readCode: ReadCode): number | null {
  const callee = firstCall(readCode(extended), extended.offset);
  return callee !== null && calls(readCode(plain), plain.offset, callee) ? callee : null;
}

/** x86-64 prologues after which all argument registers are as they came. */
const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
const PROLOGUES = [
  [0x48, 0x83, 0xec, 0x08], // sub $8,%rsp
  [0x55, 0x48, 0x89, 0xe5], // push %rbp; mov %rsp,%rbp
];
const CALL = 0xe8;
const JUMP = 0xe9;
const CALL_BYTES = 5;

/** The target of a call that directly follows a known prologue, else null. */
export function firstCall(code: Uint8Array, offset: number): number | null {
  let at = startsWith(code, 0, ENDBR64) ? ENDBR64.length : 0;
  const prologue = PROLOGUES.find((bytes) => startsWith(code, at, bytes));
  if (prologue === undefined) return null;
  at += prologue.length;
  return code[at] === CALL && at + CALL_BYTES <= code.length ? branchTarget(code, at, offset) : null;
}

/** Looks at every byte, not at every instruction: five bytes that happen to lead to `callee` are no accident. */
function calls(code: Uint8Array, offset: number, callee: number): boolean {
  for (let at = 0; at + CALL_BYTES <= code.length; at++) {
    if ((code[at] === CALL || code[at] === JUMP) && branchTarget(code, at, offset) === callee) return true;
  }
  return false;
}

/** A relative branch is relative in the file as well: both ends lie in one segment. */
function branchTarget(code: Uint8Array, at: number, offset: number): number {
  return offset + at + CALL_BYTES + new DataView(code.buffer, code.byteOffset).getInt32(at + 1, true);
}

function startsWith(code: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => code[at + index] === byte);
}

function readFileBytes(path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const fd = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  } finally {
    closeSync(fd);
  }
}
