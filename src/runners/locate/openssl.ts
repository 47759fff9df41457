/**
 * OpenSSL 3 in programs that do not name their functions. Its error reports
 * carry the name of the function that they come from, as a string; those of
 * ssl_read_internal and ssl_write_internal stand in these functions alone, and
 * SSL_read, which has one of its own, calls the former: both say the same.
 *
 * OpenSSL 1.1 reports numbers instead of names: it is recognised, not hooked.
 */
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView } from './elf.ts';
import { findFunctionStarts } from './function-start.ts';
import { absent, type Located, type Locator, type Search } from './locator.ts';
import { findBytes, findReferences } from './references.ts';

export const openssl: Locator = { name: 'OpenSSL', step: 'locator', search };

const NAMES = ['ssl_read_internal', 'ssl_write_internal', 'SSL_read', 'SSL_write'] as const;
/**
 * SSL_write gives ssl_write_internal a place on its stack for how much was
 * written: in the fourth argument, and since 3.3 in the fifth.
 */
const FOURTH_IS_PLACE = [Buffer.from([0x48, 0x89, 0xe1]), Buffer.from([0x48, 0x8d, 0x4c, 0x24]), Buffer.from([0x48, 0x8d, 0x4d])];
const FIFTH_IS_PLACE = [Buffer.from([0x49, 0x89, 0xe0]), Buffer.from([0x4c, 0x8d, 0x44, 0x24]), Buffer.from([0x4c, 0x8d, 0x45])];
/** SSL_read and SSL_write are some hundred bytes. */
const CALLER_BYTES = 0x200;
const CALL = 0xe8;
const JUMP = 0xe9;
const BRANCH_BYTES = 5;

function* search(elf: ElfView): Search {
  if (elf.machine !== 'x86-64') return absent(`looked for in x86-64 programs only, and this is ${elf.machine === 'other' ? 'none' : elf.machine}`);
  // Most programs end here: two passes over their constants.
  const [names = [], old = []] = yield* findBytes(elf, [Buffer.from(`${NAMES[0]}\0`), Buffer.from('OpenSSL 1.')]);
  if (names.length === 0) {
    const version = old.map((address) => versionAt(elf, address)).find((found) => found !== null);
    return version === undefined ? absent('no name of its functions') : unsupported(`${version} is inside, without symbols: its functions cannot be told apart`);
  }
  const texts = yield* findBytes(elf, NAMES.map((name) => Buffer.from(`${name}\0`)));
  const addresses = texts.map((found) => found.filter((address) => elf.readAt(address - 1, 1)[0] === 0)).map((found) => (found.length === 1 ? found[0] : undefined));
  if (addresses.includes(undefined)) return unsupported('a name of its functions is missing or stands there twice');
  const references = yield* findReferences(elf, addresses.flatMap((address) => address ?? []));
  const places = references.flatMap((found) => found[0] ?? []);
  if (places.length < NAMES.length) return unsupported('no code refers to the names of its functions');
  return planFor(elf, yield* findFunctionStarts(elf, places));
}

function planFor(elf: ElfView, [readInternal, writeInternal, read, write]: readonly (number | null)[]): Located {
  if (readInternal == null || writeInternal == null || read == null || write == null) return unsupported('the start of a function cannot be told');
  if (codeUntilCall(elf, read, readInternal) === null) return unsupported('SSL_read does not call what would be ssl_read_internal');
  const readOffset = elf.offsetOf(readInternal);
  if (readOffset === null) return unsupported('ssl_read_internal is not in the file');
  const before = codeUntilCall(elf, write, writeInternal) ?? Buffer.alloc(0);
  const hasFourArguments = FOURTH_IS_PLACE.some((bytes) => before.includes(bytes)) && !FIFTH_IS_PLACE.some((bytes) => before.includes(bytes));
  const writeOffset = elf.offsetOf(hasFourArguments ? writeInternal : write);
  if (writeOffset === null) return unsupported('SSL_write is not in the file');
  return {
    kind: 'found',
    library: 'openssl',
    method: 'locator',
    functions: ['ssl_read_internal', hasFourArguments ? 'ssl_write_internal' : 'SSL_write'],
    probes: [...pair('ssl_read_ex', readOffset), ...pair(hasFourArguments ? 'ssl_write_ex' : 'ssl_write', writeOffset)],
  };
}

/** The exit first: between the two attachments a start without an end would be kept for nothing. */
function pair(name: 'ssl_read_ex' | 'ssl_write_ex' | 'ssl_write', offset: number): PlannedProbe[] {
  return [{ program: `${name}_exit`, offset }, { program: `${name}_enter`, offset }];
}

function unsupported(reason: string): Located {
  return { kind: 'unsupported', library: 'openssl', reason };
}

/**
 * What runs before `caller` calls `callee`; null when it does not. Looks at every
 * byte, not at every instruction: five bytes that happen to lead there are no accident.
 */
function codeUntilCall(elf: ElfView, caller: number, callee: number): Buffer | null {
  const code = elf.readAt(caller, CALLER_BYTES);
  for (let at = 0; at + BRANCH_BYTES <= code.length; at++) {
    const isBranch = code[at] === CALL || code[at] === JUMP;
    if (isBranch && caller + at + BRANCH_BYTES + code.readInt32LE(at + 1) === callee) return code.subarray(0, at);
  }
  return null;
}

/** `OpenSSL 1.1.1w  11 Sep 2023`, with its date: other programs speak of OpenSSL too. */
function versionAt(elf: ElfView, address: number): string | null {
  return /^(OpenSSL \d+\.\d+\.\d\w*) +\d+ \w+ \d{4}/.exec(elf.readAt(address, 48).toString('latin1'))?.[1] ?? null;
}
