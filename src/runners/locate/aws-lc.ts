/**
 * AWS-LC's EVP_AEAD functions, through which rustls sends each record, in
 * programs without symbols: by the errors that they report. All are in one source file;
 * the set of reasons tells which function it is.
 *
 * BoringSSL has the same functions and is not looked for here: it is hooked
 * where it carries plaintext already, and would show twice.
 */
import type { UprobeProgram } from '../../addon.ts';
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';
import { findErrorSites } from './error-sites.ts';
import { absent, type Located, type Locator, type Search } from './locator.ts';

const ERR_LIB_CIPHER = 30;
const FILE = 'aws-lc/crypto/fipsmodule/cipher/aead.c';
/** With the folder of the machine that built it. */
const PATH_BYTES_MAX = 512;

/** From AWS-LC's include/openssl/cipher.h. */
const BAD_DECRYPT = 101;
const BUFFER_TOO_SMALL = 103;
const CTRL_NOT_IMPLEMENTED = 104;
const OPERATION_NOT_IMPLEMENTED = 112;
const OUTPUT_ALIASES_INPUT = 115;
const TOO_LARGE = 117;
const REASONS = new Set([BAD_DECRYPT, BUFFER_TOO_SMALL, CTRL_NOT_IMPLEMENTED, OPERATION_NOT_IMPLEMENTED, OUTPUT_ALIASES_INPUT, TOO_LARGE]);

interface Wanted {
  readonly name: string;
  readonly has: readonly number[];
  readonly lacks: readonly number[];
  /** The exit first: between the two attachments a start without an end would be kept for nothing. */
  readonly programs: readonly UprobeProgram[];
}

const WANTED: readonly Wanted[] = [
  {
    name: 'EVP_AEAD_CTX_open',
    has: [BAD_DECRYPT, BUFFER_TOO_SMALL, OUTPUT_ALIASES_INPUT],
    lacks: [TOO_LARGE, OPERATION_NOT_IMPLEMENTED],
    programs: ['aead_open_exit', 'aead_open_enter'],
  },
  {
    name: 'EVP_AEAD_CTX_seal',
    // TOO_LARGE as well, which -Oz hides: half of it is in a jump.
    has: [BUFFER_TOO_SMALL, OUTPUT_ALIASES_INPUT],
    lacks: [BAD_DECRYPT, OPERATION_NOT_IMPLEMENTED, CTRL_NOT_IMPLEMENTED],
    programs: ['aead_seal_enter'],
  },
  {
    name: 'EVP_AEAD_CTX_seal_scatter',
    has: [OPERATION_NOT_IMPLEMENTED, OUTPUT_ALIASES_INPUT],
    lacks: [BAD_DECRYPT, TOO_LARGE],
    programs: ['aead_seal_scatter_enter'],
  },
];

export const awsLc: Locator = { name: 'rustls with AWS-LC', step: 'locator', search };

function* search(elf: ElfView): Search {
  if (elf.machine !== 'x86-64') return absent(`looked for in x86-64 programs only, and this is ${elf.machine === 'other' ? 'none' : elf.machine}`);
  const isOurs = createFileCheck(elf);
  const sites = yield* findErrorSites(elf, { library: ERR_LIB_CIPHER, reasons: REASONS });
  const ours = sites.filter(({ file }) => file !== null && isOurs(file));
  if (ours.length === 0) return absent('no error of AWS-LC ciphers');
  const functions = new Map<number, Set<number>>();
  for (const { address, constants } of ours) {
    const start = elf.functionAt(address)?.start ?? frameStart(elf, address);
    // The reason comes before the line, which may look like one.
    const reason = constants.find((constant) => REASONS.has(constant));
    if (start !== null && reason !== undefined) functions.set(start, (functions.get(start) ?? new Set()).add(reason));
  }
  return plan(elf, functions);
}

/** push %rbp; mov %rsp,%rbp */
const FRAME = Buffer.from([0x55, 0x48, 0x89, 0xe5]);
/** The largest of these functions is some 0x150 bytes. */
const REACH = 0x1000;
/** Of what can end the function before: return, padding, and by their lengths a short jump, a jump and a call that does not return. */
const ENDS = new Set([0xc3, 0xcc, 0x90]);

/**
 * Without unwind tables: where the frame is made. AWS-LC keeps frame pointers
 * where Rust builds it, and with -Oz nothing lies between its functions.
 */
function frameStart(elf: ElfView, address: number): number | null {
  const code = elf.readAt(address - REACH, REACH);
  for (let at = code.lastIndexOf(FRAME); at >= 5; at = code.lastIndexOf(FRAME, at - 1)) {
    const endsBefore = ENDS.has(code[at - 1] as number) || code[at - 2] === 0xeb || code[at - 5] === 0xe9 || code[at - 5] === 0xe8;
    if (endsBefore) return address - REACH + at;
  }
  return null;
}

/** Whether a text at this address is the path of our file; asked for the same few addresses again and again. */
function createFileCheck(elf: ElfView): (address: number) => boolean {
  const known = new Map<number, boolean>();
  return (address) => {
    const before = known.get(address);
    if (before !== undefined) return before;
    const text = elf.readAt(address, PATH_BYTES_MAX);
    const end = text.indexOf(0);
    const isOurs = end !== -1 && text.toString('latin1', 0, end).endsWith(FILE);
    known.set(address, isOurs);
    return isOurs;
  };
}

function plan(elf: ElfView, functions: ReadonlyMap<number, ReadonlySet<number>>): Located {
  const probes: PlannedProbe[] = [];
  for (const { name, has, lacks, programs } of WANTED) {
    const starts = Array.from(functions).flatMap(([start, reasons]) =>
      has.every((reason) => reasons.has(reason)) && !lacks.some((reason) => reasons.has(reason)) ? [start] : []);
    const offset = starts.length === 1 ? elf.offsetOf(starts[0] as number) : null;
    if (offset === null) return unsupported(`${name} may be in ${starts.length} places`);
    for (const program of programs) probes.push({ program, offset });
  }
  return { kind: 'found', library: 'rustls', method: 'locator', functions: WANTED.map(({ name }) => name), probes };
}

function unsupported(reason: string): Located {
  return { kind: 'unsupported', library: 'rustls', reason: `AWS-LC is there, but ${reason}` };
}
