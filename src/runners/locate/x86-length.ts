/**
 * How long an x86-64 instruction is: prefixes, opcode maps 0 to 3, VEX and
 * EVEX, operands. It says nothing about what an instruction does. Used to walk
 * a function from its start, so that a byte within an operand is never taken
 * for an instruction.
 *
 * Not read: XOP and 3DNow! (no compiler emits them any more), and what is
 * invalid in 64-bit mode. Spec: Intel SDM volume 2, appendix A.
 */

/** What follows an opcode. */
const NOTHING = 0;
const MODRM = 1;
const IMM8 = 2;
/** 32 bits, 16 with an operand-size prefix. */
const IMM = 4;
const INVALID = 8;

const OPERAND_SIZE = 0x66;
const ADDRESS_SIZE = 0x67;
const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, OPERAND_SIZE, ADDRESS_SIZE, 0xf0, 0xf2, 0xf3]);
/** The processor refuses longer ones. */
const LONGEST = 15;

/** From opcode, to opcode (both included), what follows; later rows win. */
type Rows = readonly (readonly [number, number, number])[];

const ONE_BYTE = table(NOTHING, [
  ...[0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38].flatMap((base): Rows => [
    [base, base + 3, MODRM], [base + 4, base + 4, IMM8], [base + 5, base + 5, IMM], [base + 6, base + 7, INVALID],
  ]),
  [0x60, 0x62, INVALID], [0x63, 0x63, MODRM], [0x68, 0x68, IMM], [0x69, 0x69, MODRM | IMM], [0x6a, 0x6a, IMM8],
  [0x6b, 0x6b, MODRM | IMM8], [0x70, 0x7f, IMM8], [0x80, 0x80, MODRM | IMM8], [0x81, 0x81, MODRM | IMM], [0x82, 0x82, INVALID],
  [0x83, 0x83, MODRM | IMM8], [0x84, 0x8f, MODRM], [0x9a, 0x9a, INVALID], [0xa8, 0xa8, IMM8], [0xa9, 0xa9, IMM],
  [0xb0, 0xb7, IMM8], [0xb8, 0xbf, IMM], [0xc0, 0xc1, MODRM | IMM8], [0xc4, 0xc5, INVALID], [0xc6, 0xc6, MODRM | IMM8],
  [0xc7, 0xc7, MODRM | IMM], [0xcd, 0xcd, IMM8], [0xce, 0xce, INVALID], [0xd0, 0xd3, MODRM], [0xd4, 0xd6, INVALID],
  [0xd8, 0xdf, MODRM], [0xe0, 0xe7, IMM8], [0xea, 0xea, INVALID], [0xeb, 0xeb, IMM8], [0xf6, 0xf7, MODRM], [0xfe, 0xff, MODRM],
]);

const MAP_0F = table(MODRM, [
  [0x04, 0x04, INVALID], [0x05, 0x09, NOTHING], [0x0a, 0x0a, INVALID], [0x0b, 0x0b, NOTHING], [0x0c, 0x0c, INVALID],
  [0x0e, 0x0f, INVALID], [0x24, 0x27, INVALID], [0x30, 0x37, NOTHING], [0x38, 0x3f, INVALID], [0x70, 0x73, MODRM | IMM8],
  [0x77, 0x77, NOTHING], [0xa0, 0xa2, NOTHING], [0xa4, 0xa4, MODRM | IMM8], [0xa6, 0xa7, INVALID], [0xa8, 0xaa, NOTHING],
  [0xac, 0xac, MODRM | IMM8], [0xba, 0xba, MODRM | IMM8], [0xc2, 0xc2, MODRM | IMM8], [0xc4, 0xc6, MODRM | IMM8], [0xc8, 0xcf, NOTHING],
]);

/** Bytes of the instruction at `at`; 0 where it is not one that is read, or where the code ends first. */
export function instructionLength(code: Uint8Array, at: number): number {
  const byte = (index: number): number => code[at + index] ?? -1;
  let length = 0;
  let isShort = false;
  let isShortAddress = false;
  while (PREFIXES.has(byte(length))) {
    if (byte(length) === OPERAND_SIZE) isShort = true;
    if (byte(length) === ADDRESS_SIZE) isShortAddress = true;
    length++;
    if (length >= LONGEST) return 0;
  }
  const rex = byte(length) >= 0x40 && byte(length) <= 0x4f ? byte(length++) : 0;
  const opcode = byte(length++);
  const operands = (kind: number): number => {
    if ((kind & INVALID) !== 0) return 0;
    if ((kind & MODRM) !== 0) length += modrmLength(code, at + length);
    if ((kind & IMM8) !== 0) length += 1;
    if ((kind & IMM) !== 0) length += isShort && (rex & 8) === 0 ? 2 : 4;
    return length <= LONGEST && at + length <= code.length ? length : 0;
  };
  const vectorMap = (map: number): number => {
    const vectorOpcode = byte(length++);
    if (map === 1 && vectorOpcode >= 0) return operands(MAP_0F[vectorOpcode] as number);
    return map === 2 ? operands(MODRM) : map === 3 ? operands(MODRM | IMM8) : 0;
  };

  switch (opcode) {
    case -1:
      return 0;
    case 0x0f: {
      const second = byte(length++);
      if (second === 0x38 || second === 0x3a) {
        length++;
        return operands(second === 0x38 ? MODRM : MODRM | IMM8);
      }
      // A conditional jump keeps its 32 bits whatever the prefixes.
      if (second >= 0x80 && second <= 0x8f) return (length += 4) && operands(NOTHING);
      return second === -1 ? 0 : operands(MAP_0F[second] as number);
    }
    case 0xc5:
      length += 1;
      return vectorMap(1);
    case 0xc4: {
      const map = byte(length) & 0x1f;
      length += 2;
      return vectorMap(map);
    }
    case 0x62: {
      const map = byte(length) & 0x07;
      length += 3;
      return vectorMap(map);
    }
    case 0xe8:
    case 0xe9:
      return (length += 4) && operands(NOTHING);
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3:
      return (length += isShortAddress ? 4 : 8) && operands(NOTHING);
    case 0xc2:
    case 0xca:
      return (length += 2) && operands(NOTHING);
    case 0xc8:
      return (length += 3) && operands(NOTHING);
    case 0xf6:
      return operands(isTest(byte(length)) ? MODRM | IMM8 : MODRM);
    case 0xf7:
      return operands(isTest(byte(length)) ? MODRM | IMM : MODRM);
    default:
      // mov r64, imm64
      if (opcode >= 0xb8 && opcode <= 0xbf && (rex & 8) !== 0) return (length += 8) && operands(NOTHING);
      return operands(ONE_BYTE[opcode] as number);
  }
}

/** Of the group that F6 and F7 begin, only `test` has an immediate. */
function isTest(modrm: number): boolean {
  return ((modrm >> 3) & 7) < 2;
}

/** ModRM, and the SIB byte and displacement that it asks for. */
function modrmLength(code: Uint8Array, at: number): number {
  const modrm = code[at] ?? 0;
  const mode = modrm >> 6;
  const base = modrm & 7;
  if (mode === 3) return 1;
  const hasSib = base === 4;
  const isWide = mode === 2 || (mode === 0 && (base === 5 || (hasSib && ((code[at + 1] ?? 0) & 7) === 5)));
  return 1 + (hasSib ? 1 : 0) + (mode === 1 ? 1 : isWide ? 4 : 0);
}

function table(otherwise: number, rows: Rows): Uint8Array {
  const entries = new Uint8Array(256).fill(otherwise);
  for (const [first, last, kind] of rows) entries.fill(kind, first, last + 1);
  return entries;
}
