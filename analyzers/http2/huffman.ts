/**
 * The Huffman code of HPACK (RFC 7541 §5.2 and appendix B). It is canonical, so
 * the length of each symbol's code tells the code.
 *
 * Masking happens in the code: the bits of a secret become those of `*`, so
 * that a masked capture has the same length and reads to the same masked text.
 */
import { MASK } from '../http/mask.ts';
import type { Range } from '../http/mask.ts';

/** Bits of the code of each byte, one digit of base 36 each. EOS has 30 ones. */
const LENGTHS = 'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca'
  + 'd67777777777777777777777878djde6f56565666577666567655677777fbeds'
  + 'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn'
  + 'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq';
const BITS = Uint8Array.from(LENGTHS, (digit) => Number.parseInt(digit, 36));
const CODES = new Uint32Array(256);
/** A binary tree: of node `n`, the branches at `2n` and `2n + 1`. A leaf is the complement of its byte. */
const TREE: number[] = [0, 0];
/** A branch that leads to EOS alone. */
const NO_BRANCH = 0;
fillTables();

function fillTables(): void {
  const order = Array.from(BITS.keys()).toSorted((a, b) => (BITS[a] as number) - (BITS[b] as number) || a - b);
  let code = 0;
  let bits = 5;
  for (const symbol of order) {
    const length = BITS[symbol] as number;
    code <<= length - bits;
    bits = length;
    CODES[symbol] = code;
    plant(symbol, code, length);
    code++;
  }
}

function plant(symbol: number, code: number, length: number): void {
  let node = 0;
  for (let bit = length - 1; bit > 0; bit--) {
    const branch = 2 * node + ((code >>> bit) & 1);
    if (TREE[branch] === NO_BRANCH) {
      TREE[branch] = TREE.length / 2;
      TREE.push(NO_BRANCH, NO_BRANCH);
    }
    node = TREE[branch] as number;
  }
  TREE[2 * node + (code & 1)] = ~symbol;
}

/** null when the bytes are no such code: EOS in it, or a wrong end. */
export function decodeHuffman(bytes: Buffer): Buffer | null {
  const decoded = Buffer.allocUnsafe(Math.floor((bytes.length * 8) / 5));
  let length = 0;
  let node = 0;
  let depth = 0;
  let ones = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >>> bit) & 1;
      const next = TREE[2 * node + one] as number;
      if (next < 0) {
        decoded[length++] = ~next;
        node = 0;
        depth = 0;
        ones = true;
        continue;
      }
      if (next === NO_BRANCH) return null;
      node = next;
      depth++;
      ones &&= one === 1;
    }
  }
  return ones && depth < 8 ? decoded.subarray(0, length) : null;
}

/** Codes of 5, 6 and 7 bits that fill what whole `*` leave over. */
const FILLS = ['o', '-', 'x'].map((letter) => letter.charCodeAt(0));
const FILLS_OF: readonly (readonly number[])[] = [[], [5, 6, 6], [5, 5], [5, 6], [6, 6], [5], [6], [7]];

/** The coded bytes with the ranges of the decoded text masked; the same length, to the bit. */
export function maskHuffman(coded: Buffer, decoded: Buffer, ranges: readonly Range[]): Buffer {
  const masked = Buffer.from(coded);
  let at = 0;
  let bit = 0;
  for (const { start, end } of ranges) {
    for (; at < start; at++) bit += BITS[decoded[at] as number] as number;
    let until = bit;
    for (; at < end; at++) until += BITS[decoded[at] as number] as number;
    writeMask(masked, bit, until);
    bit = until;
  }
  return masked;
}

/** No code is shorter than 5 bits or has 9, so every number of bits that text can have is reached. */
function writeMask(bytes: Buffer, from: number, to: number): void {
  const fills = FILLS_OF[(to - from) % 8] as readonly number[];
  let bit = from;
  for (let rest = to - from - fills.reduce((sum, one) => sum + one, 0); rest > 0; rest -= 8) bit = writeCode(bytes, bit, MASK);
  for (const length of fills) bit = writeCode(bytes, bit, FILLS[length - 5] as number);
}

function writeCode(bytes: Buffer, at: number, symbol: number): number {
  const code = CODES[symbol] as number;
  const length = BITS[symbol] as number;
  for (let i = 0; i < length; i++) {
    const bit = at + i;
    const one = (code >>> (length - 1 - i)) & 1;
    const place = 0x80 >>> (bit & 7);
    bytes[bit >>> 3] = one === 1 ? (bytes[bit >>> 3] as number) | place : (bytes[bit >>> 3] as number) & ~place;
  }
  return at + length;
}

/** For tests and traffic: the coded form. */
export function encodeHuffman(text: Buffer): Buffer {
  let bits = 0;
  for (const byte of text) bits += BITS[byte] as number;
  const coded = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  let at = 0;
  for (const byte of text) at = writeCode(coded, at, byte);
  return coded;
}

/** What a value becomes that is masked as a whole. */
export function wholeMask(length: number): Buffer {
  return Buffer.alloc(length, CODES[MASK]);
}

