/**
 * OpenSSL in programs that do not name its functions. Error reports of OpenSSL 3
 * carry the name of the function that they come from, as a string; those of
 * ssl_read_internal and ssl_write_internal stand in these functions alone, and
 * SSL_read, which has one of its own, calls the former: both say the same.
 * OpenSSL 1.x reports numbers instead: openssl-1.ts.
 */
import type { ElfView } from './elf.ts';
import { findFunctionStarts } from './function-start.ts';
import { absent, type Located, type Locator, type Search } from './locator.ts';
import { searchOpenSsl1 } from './openssl-1.ts';
import { codeUntilCall, found, unsupported } from './openssl-found.ts';
import { findBytes, findReferences } from './references.ts';

export const openssl: Locator = { name: 'OpenSSL', step: 'locator', search };

const NAMES = ['ssl_read_internal', 'ssl_write_internal', 'SSL_read', 'SSL_write'] as const;
/** Where its reports come from, unless it was built without: BoringSSL's is called the same or ssl_lib.cc. */
const SOURCE_FILE = Buffer.from('ssl_lib.c\0');
/**
 * SSL_write gives ssl_write_internal a place on its stack for how much was
 * written: in the fourth argument, and since 3.3 in the fifth.
 */
const FOURTH_IS_PLACE = [Buffer.from([0x48, 0x89, 0xe1]), Buffer.from([0x48, 0x8d, 0x4c, 0x24]), Buffer.from([0x48, 0x8d, 0x4d])];
const FIFTH_IS_PLACE = [Buffer.from([0x49, 0x89, 0xe0]), Buffer.from([0x4c, 0x8d, 0x44, 0x24]), Buffer.from([0x4c, 0x8d, 0x45])];

function* search(elf: ElfView): Search {
  if (elf.machine !== 'x86-64') return absent(`looked for in x86-64 programs only, and this is ${elf.machine === 'other' ? 'none' : elf.machine}`);
  // Most programs end here: three passes over their constants.
  const [names = [], sources = [], versions = []] = yield* findBytes(elf, [Buffer.from(`${NAMES[0]}\0`), SOURCE_FILE, Buffer.from('OpenSSL 1.')]);
  if (names.length === 0 && sources.length === 0 && versions.length === 0) return absent('no name of its functions');
  // The older ones first: they have the names too, in a table that no code refers to.
  const old = yield* searchOpenSsl1(elf);
  if (old !== null) return old;
  if (names.length > 0) return yield* searchByName(elf);
  const version = versions.map((address) => versionAt(elf, address)).find((text) => text !== null);
  return version === undefined ? absent('no name of its functions') : unsupported(`${version} is inside, without symbols: its functions cannot be told apart`);
}

function* searchByName(elf: ElfView): Search {
  const texts = yield* findBytes(elf, NAMES.map((name) => Buffer.from(`${name}\0`)));
  const addresses = texts.map((places) => places.filter((address) => elf.readAt(address - 1, 1)[0] === 0)).map((places) => (places.length === 1 ? places[0] : undefined));
  if (addresses.includes(undefined)) return unsupported('a name of its functions is missing or stands there twice');
  const references = yield* findReferences(elf, addresses.flatMap((address) => address ?? []));
  const places = references.flatMap((all) => all[0] ?? []);
  if (places.length < NAMES.length) return unsupported('no code refers to the names of its functions');
  return planFor(elf, yield* findFunctionStarts(elf, places));
}

function planFor(elf: ElfView, [readInternal, writeInternal, read, write]: readonly (number | null)[]): Located {
  if (readInternal == null || writeInternal == null || read == null || write == null) return unsupported('the start of a function cannot be told');
  if (codeUntilCall(elf, read, readInternal) === null) return unsupported('SSL_read does not call what would be ssl_read_internal');
  const before = codeUntilCall(elf, write, writeInternal) ?? Buffer.alloc(0);
  const hasFourArguments = FOURTH_IS_PLACE.some((bytes) => before.includes(bytes)) && !FIFTH_IS_PLACE.some((bytes) => before.includes(bytes));
  return found(elf, { ssl_read_internal: readInternal, ...(hasFourArguments ? { ssl_write_internal: writeInternal } : { SSL_write: write }) });
}

/** `OpenSSL 1.1.1w  11 Sep 2023`, with its date: other programs speak of OpenSSL too. */
function versionAt(elf: ElfView, address: number): string | null {
  return /^(OpenSSL \d+\.\d+\.\d\w*) +\d+ \w+ \d{4}/.exec(elf.readAt(address, 48).toString('latin1'))?.[1] ?? null;
}
