/**
 * Where the function begins that holds an address. The unwind tables say it
 * where they reach (half of what we look at has none, or a few entries).
 * Elsewhere it is the nearest place below that follows the linker's padding. A
 * function whose neighbour ends just where it begins has none: where that may
 * be so, all calls of the program are looked at, and the nearest place that one
 * of them leads to is the start. x86-64 only.
 */
import type { ElfView } from './elf.ts';
import { windowsOf } from './reader.ts';
import { operandsInto } from './relative-operands.ts';

/** Longer than any function that we look for. */
const REACH = 0x2000;
const CALL = 0xe8;
const CALL_BYTES = 5;
const INT3 = 0xcc;
const RET = 0xc3;
const NOP = 0x90;
const ALIGNMENT = 16;

/** One start for each address, null where none was found. Yields while it goes through the code. */
export function* findFunctionStarts(elf: ElfView, addresses: readonly number[]): Generator<undefined, readonly (number | null)[]> {
  const known = addresses.map((address) => elf.functionAt(address)?.start ?? afterPadding(elf, address));
  if (known.every((start) => start !== null)) return known;
  const called = yield* findCalled(elf, addresses);
  return addresses.map((address, index) => known[index] ?? nearestCalled(elf, address, called));
}

/** The place after the nearest padding; null where a function may begin between it and the address. */
function afterPadding(elf: ElfView, address: number): number | null {
  const { code, start } = codeBelow(elf, address);
  for (let at = code.length - 1; at > 0; at--) {
    const candidate = start + at;
    if (candidate % ALIGNMENT !== 0) continue;
    if (code[at - 1] === INT3 && code[at] !== INT3 && !isTrap(code, at)) return candidate;
    if (isEnd(code, at) && isPrologue(code, at)) return null;
  }
  return null;
}

/** What direct calls lead to, as far as it is in reach of one of the addresses. */
function* findCalled(elf: ElfView, addresses: readonly number[]): Generator<undefined, ReadonlySet<number>> {
  const called = new Set<number>();
  const isNear = (target: number): boolean => addresses.some((address) => target <= address && address - target < REACH);
  const range = { low: Math.min(...addresses) - REACH, high: Math.max(...addresses) };
  for (const segment of elf.code) {
    const toAddress = segment.address - segment.offset;
    for (const { bytes, offset } of windowsOf(elf.reader, segment, CALL_BYTES - 1)) {
      for (const { at, target } of operandsInto(bytes, offset + toAddress, [range])) {
        if (bytes[at - 1] === CALL && isNear(target)) called.add(target);
      }
      yield;
    }
  }
  return called;
}

/** Bytes that look like a call lead anywhere: a true start comes after an end. */
function nearestCalled(elf: ElfView, address: number, called: ReadonlySet<number>): number | null {
  const { code, start } = codeBelow(elf, address);
  for (let at = code.length - 1; at > 0; at--) {
    if (called.has(start + at) && isEnd(code, at)) return start + at;
  }
  return null;
}

function codeBelow(elf: ElfView, address: number): { readonly code: Buffer; readonly start: number } {
  const segment = elf.code.find((candidate) => address >= candidate.address && address - candidate.address < candidate.length);
  const start = Math.max(address - REACH, segment?.address ?? address);
  return { code: elf.readAt(start, address - start), start };
}

/** Whether a function can begin so: with a push, or by taking room on the stack. */
function isPrologue(code: Buffer, at: number): boolean {
  const first = code[at] ?? 0;
  const second = code[at + 1] ?? 0;
  if (first >= 0x50 && first <= 0x57) return true;
  if (first === 0x41) return second >= 0x50 && second <= 0x57;
  return first === 0xf3 || first === 0x48 && (second === 0x83 || second === 0x81) && code[at + 2] === 0xec;
}

/** Whether what lies before `at` can be the end of a function: padding, a return, a jump, or a call or trap that does not return. */
function isEnd(code: Buffer, at: number): boolean {
  const last = code[at - 1];
  if (last === INT3 || last === RET || last === NOP) return true;
  if (code[at - CALL_BYTES] === 0xe9 || code[at - CALL_BYTES] === CALL || code[at - 2] === 0xeb) return true;
  return isTrap(code, at - 2) || isLongNop(code, at);
}

/** ud2, which Chromium writes after an int3 within a function. */
function isTrap(code: Buffer, at: number): boolean {
  return code[at] === 0x0f && code[at + 1] === 0x0b;
}

/** nop with an operand, `0f 1f ... 00`, of three to nine bytes, with any number of 66 and 2e before. */
function isLongNop(code: Buffer, at: number): boolean {
  for (let length = 3; length <= 9; length++) {
    if (code[at - length] === 0x0f && code[at - length + 1] === 0x1f) return true;
  }
  return false;
}
