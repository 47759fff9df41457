/** Strings in a program's constant data, and the code that refers to them. x86-64 only. */
import type { ElfView, Segment } from './elf.ts';
import { windowsOf } from './reader.ts';
import { operandsInto } from './relative-operands.ts';

/** A needle that comes more often than this is no name. */
const HITS_MAX = 64;

/** Addresses at which each needle stands among the constants. Yields after each window. */
export function findBytes(elf: ElfView, needles: readonly Buffer[]): Generator<undefined, readonly (readonly number[])[]> {
  return findBytesIn(elf, elf.segments.filter(isConstant), needles, HITS_MAX);
}

/** Constants are never writable. Where the linker did not separate them from the code, the segment of the ELF header is executable. */
function isConstant({ executable, writable, offset }: Segment): boolean {
  return !writable && (!executable || offset === 0);
}

/** The same in any segments, and of each needle as many places as are wanted. */
export function* findBytesIn(
  elf: ElfView, segments: readonly Segment[], needles: readonly Buffer[], hitsMax: number,
): Generator<undefined, readonly (readonly number[])[]> {
  const hits = needles.map((): number[] => []);
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  for (const segment of segments) {
    for (const { bytes, offset, seen } of windowsOf(elf.reader, segment, overlap)) {
      needles.forEach((needle, index) => {
        const found = hits[index] ?? [];
        // What fits into the overlap was found in the window before.
        const first = Math.max(0, seen - needle.length + 1);
        for (let at = bytes.indexOf(needle, first); at !== -1 && found.length < hitsMax; at = bytes.indexOf(needle, at + 1)) {
          found.push(offset + at - segment.offset + segment.address);
        }
      });
      yield;
    }
  }
  return hits;
}

/**
 * Where in the code each address is loaded: by an operand that is relative to
 * the end of its instruction, as `lea` has it, or, in programs at a fixed place,
 * as a constant of 32 bits.
 */
export function* findReferences(elf: ElfView, addresses: readonly number[]): Generator<undefined, readonly (readonly number[])[]> {
  const hits = addresses.map((): number[] => []);
  for (const segment of elf.code) {
    for (const { bytes, offset } of windowsOf(elf.reader, segment, LEA_BYTES)) {
      const start = offset - segment.offset + segment.address;
      for (const [index, at] of referencesIn(elf, bytes, start, addresses)) {
        const found = hits[index] ?? [];
        if (found.length < HITS_MAX && !found.includes(at)) found.push(at);
      }
      yield;
    }
  }
  return hits;
}

const OPERAND_BYTES = 4;
const LEA_BYTES = 7;

/** Pairs of an index into `addresses` and the operand's place. */
function referencesIn(elf: ElfView, code: Buffer, start: number, addresses: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const { at, target } of operandsInto(code, start, addresses.map((address) => ({ low: address, high: address })))) {
    // lea r64, [rip + disp32]
    if (code[at - 2] === 0x8d && ((code[at - 1] ?? 0) & 0xc7) === 0x05) found.push([addresses.indexOf(target), start + at]);
  }
  if (elf.isMovable) return found;
  addresses.forEach((address, index) => {
    if (address > 0x7fffffff) return;
    const operand = Buffer.alloc(OPERAND_BYTES);
    operand.writeInt32LE(address);
    for (let at = code.indexOf(operand, 1); at !== -1; at = code.indexOf(operand, at + 1)) {
      if (isMove(code, at)) found.push([index, start + at]);
    }
  });
  return found;
}

/** mov r32, imm32. */
function isMove(code: Buffer, at: number): boolean {
  return ((code[at - 1] ?? 0) & 0xf8) === 0xb8;
}
