/**
 * ring's ciphers, through which rustls sends each record, in programs without
 * symbols. ring has a static table for each of them, with the forms and numbers
 * of its source (src/aead.rs, src/aead/algorithm.rs):
 *
 *     init, seal, open; bytes of the key; 0.16: the longest input; number of the cipher
 *
 * AES has two, for keys of 16 and 32 bytes, with the same seal and open: nothing
 * else that looks like such a table comes in two like that. The linker leaves the
 * addresses to the loader, so most have to be looked up in its list (relocated.ts).
 */
import type { UprobeProgram } from '../../addon.ts';
import type { PlannedProbe } from '../tls-locate.ts';
import type { ElfView, Segment } from './elf.ts';
import { absent, type Located, type Locator, type Search } from './locator.ts';
import { findBytesIn } from './references.ts';
import { relocatedWords } from './relocated.ts';

export const ring: Locator = { name: 'rustls with ring', step: 'locator', search };

type Cipher = 'AES-128' | 'AES-256' | 'ChaCha20';

/** What follows the three functions: the key's length and the next word. */
interface Form {
  readonly cipher: Cipher;
  readonly isOld: boolean;
  readonly words: Buffer;
}

const WORD_BYTES = 8;
const FUNCTIONS_BYTES = 3 * WORD_BYTES;
/** Bytes that a counter of 32 bits reaches: of 16 each for AES, less two, and of 64 for ChaCha20, less one. */
const AES_INPUT_MAX = 0xfffffffe0n;
const CHACHA_INPUT_MAX = 0x3fffffffc0n;
const FORMS: readonly Form[] = [
  form('AES-128', false, 16n, 0n), form('AES-256', false, 32n, 1n), form('ChaCha20', false, 32n, 2n),
  form('AES-128', true, 16n, AES_INPUT_MAX), form('AES-256', true, 32n, AES_INPUT_MAX), form('ChaCha20', true, 32n, CHACHA_INPUT_MAX),
];
/** Of each form: more tables of 16 or 32 and a small number than the largest programs have before three addresses of code. */
const PLACES_MAX = 65_536;

function form(cipher: Cipher, isOld: boolean, keyBytes: bigint, next: bigint): Form {
  const words = Buffer.alloc(2 * WORD_BYTES);
  words.writeBigUInt64LE(keyBytes);
  words.writeBigUInt64LE(next, WORD_BYTES);
  return { cipher, isOld, words };
}

interface Table {
  readonly form: Form;
  readonly seal: number;
  readonly open: number;
}

function* search(elf: ElfView): Search {
  if (elf.machine !== 'x86-64') return absent(`looked for in x86-64 programs only, and this is ${elf.machine === 'other' ? 'none' : elf.machine}`);
  const tables = yield* findTables(elf);
  const pairs = pairsOfAes(tables);
  const [aes] = pairs;
  if (aes === undefined) return absent('no table of its ciphers');
  if (pairs.length > 1) return unsupported(`AES may be in ${pairs.length} places`);
  const chacha = tables.filter(({ form: { cipher, isOld } }) => cipher === 'ChaCha20' && isOld === aes.form.isOld);
  if (chacha.length > 1) return unsupported(`ChaCha20 may be in ${chacha.length} places`);
  return plan(elf, [aes, ...chacha]);
}

function* findTables(elf: ElfView): Generator<undefined, readonly Table[]> {
  const found = yield* findBytesIn(elf, placesOfTables(elf), FORMS.map(({ words }) => words), PLACES_MAX);
  const places = FORMS.flatMap((of, index) =>
    (found[index] ?? []).filter((address) => address % WORD_BYTES === 0).map((address) => ({ form: of, start: address - FUNCTIONS_BYTES })));
  const words = yield* relocatedWords(elf, places.flatMap(({ start }) => [start, start + WORD_BYTES, start + 2 * WORD_BYTES]));
  return places.flatMap(({ form: of, start }) => {
    const [init, seal, open] = [0, 1, 2].map((index) => words.get(start + index * WORD_BYTES) ?? 0);
    const areFunctions = [init, seal, open].every((address) => address !== undefined && isCode(elf, address));
    return areFunctions && seal !== undefined && open !== undefined && seal !== open ? [{ form: of, seal, open }] : [];
  });
}

/** Where the loader has addresses to fill in; in programs at a fixed place they may be among the other constants. */
function placesOfTables({ segments, relro, isMovable }: ElfView): Segment[] {
  return [
    ...(isMovable ? [] : segments.filter(({ executable, writable }) => !executable && !writable)),
    ...(relro === null ? segments.filter(({ writable }) => writable) : [relro]),
  ];
}

/** One for each pair of functions that both lengths of keys share. */
function pairsOfAes(tables: readonly Table[]): Table[] {
  const longer = tables.filter(({ form: { cipher } }) => cipher === 'AES-256');
  return tables.filter(({ form: { cipher, isOld }, seal, open }) =>
    cipher === 'AES-128' && longer.some((other) => other.form.isOld === isOld && other.seal === seal && other.open === open));
}

function isCode(elf: ElfView, address: number): boolean {
  return elf.code.some((segment) => address >= segment.address && address - segment.address < segment.length);
}

function plan(elf: ElfView, tables: readonly Table[]): Located {
  const probes: PlannedProbe[] = [];
  for (const { form: { isOld }, seal, open } of tables) {
    // The exit first: between the two attachments a start without an end would be kept for nothing.
    const wanted: readonly (readonly [UprobeProgram, number])[] = [
      ['ring_open_exit', open], [isOld ? 'ring_open_old_enter' : 'ring_open_enter', open], ['ring_seal_enter', seal],
    ];
    for (const [program, address] of wanted) {
      const offset = elf.offsetOf(address);
      if (offset === null) return unsupported('a function of its table is not in the file');
      probes.push({ program, offset });
    }
  }
  const names = tables.map(({ form: { cipher } }) => (cipher === 'ChaCha20' ? 'chacha20_poly1305' : 'aes_gcm'));
  return { kind: 'found', library: 'rustls', method: 'locator', functions: names.flatMap((name) => [`${name}_open`, `${name}_seal`]), probes };
}

function unsupported(reason: string): Located {
  return { kind: 'unsupported', library: 'rustls', reason: `ring is there, but ${reason}` };
}
