/**
 * Addresses in a program's data as they will be in memory, before the loader
 * moves the whole: what stands in the file (programs at a fixed place, and the
 * compact list of RELR, which says only where), or what the list of RELA says,
 * which leaves zeros in the file. x86-64 only.
 *
 * Spec: System V ABI, chapter 4, "Relocation"; AMD64 supplement, 4.4.
 */
import { number64, type ElfView } from './elf.ts';
import { windowsOf } from './reader.ts';

const WORD_BYTES = 8;
/** Offset, kind, addend. */
const ENTRY_BYTES = 24;
/** "Where the program is, and the addend." */
const R_X86_64_RELATIVE = 8;

/** The words at these addresses. Yields after each window of the loader's list. */
export function* relocatedWords(elf: ElfView, addresses: readonly number[]): Generator<undefined, ReadonlyMap<number, number>> {
  const words = new Map<number, number>();
  for (const address of addresses) {
    const bytes = elf.readAt(address, WORD_BYTES);
    words.set(address, bytes.length < WORD_BYTES ? 0 : number64(bytes, 0));
  }
  const list = elf.section('.rela.dyn');
  if (list === null || addresses.length === 0) return words;
  for (const { bytes, offset } of windowsOf(elf.reader, list, ENTRY_BYTES - 1)) {
    const before = (offset - list.offset) % ENTRY_BYTES;
    for (let at = before === 0 ? 0 : ENTRY_BYTES - before; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      if (bytes.readUInt32LE(at + 8) !== R_X86_64_RELATIVE || bytes.readUInt32LE(at + 12) !== 0) continue;
      const address = number64(bytes, at);
      if (words.has(address)) words.set(address, number64(bytes, at + 16));
    }
    yield;
  }
  return words;
}
