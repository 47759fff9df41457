/**
 * What the verifier of older kernels asks of a compiled BPF object: how much
 * stack the frames of a chain of calls take together.
 */
import { readFileSync } from 'node:fs';

const SYMBOLS = 2;
const RELOCATIONS = 9;
const FUNCTION = 2;
/** Where the functions are that programs call; each program is in a section of its kind. */
const CALLED_SECTION = '.text';

const INSTRUCTION_BYTES = 8;
const CALL = 0x85;
const LOAD_ADDRESS = 0x18;
const COPY_REGISTER = 0xbf;
const ADD_NUMBER = 0x07;
/** The classes of instructions that read and write memory: ldx, st, stx. */
const MEMORY_CLASSES: readonly number[] = [1, 2, 3];
const FRAME_POINTER = 10;

/** Each frame counts as a whole number of these, and as one at least. */
const FRAME_UNIT_BYTES = 32;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly link: number;
  readonly info: number;
  readonly content: Buffer;
}

interface Instruction {
  readonly at: number;
  readonly code: number;
  readonly to: number;
  readonly from: number;
  readonly offset: number;
  readonly number: number;
}

interface Frame {
  readonly name: string;
  readonly isProgram: boolean;
  readonly bytes: number;
  /** The places of the functions that it calls or gives to a loop of the kernel. */
  readonly called: readonly string[];
}

export interface Chain {
  /** Each function with its bytes, the program first. */
  readonly functions: readonly string[];
  readonly bytes: number;
}

/** Of each program of an object, the chain of calls that takes most stack. */
export function deepestChains(path: string): readonly Chain[] {
  const frames = readFrames(readFileSync(path));
  const deepest = (frame: Frame): Chain => {
    const below = frame.called.map((place) => frames.get(place)).filter((called) => called !== undefined).map(deepest)
      .reduce<Chain>((most, chain) => (chain.bytes > most.bytes ? chain : most), { functions: [], bytes: 0 });
    return { functions: [`${frame.name} ${frame.bytes}`, ...below.functions], bytes: frame.bytes + below.bytes };
  };
  return [...frames.values()].filter(({ isProgram }) => isProgram).map(deepest);
}

/** By place: `<section>:<offset>`. */
function readFrames(elf: Buffer): ReadonlyMap<string, Frame> {
  const sections = readSections(elf);
  const table = sections.find(({ type }) => type === SYMBOLS);
  const symbols = records(table?.content ?? Buffer.alloc(0), 24).map((symbol) => ({
    name: textAt(sections[table?.link ?? 0]?.content, symbol.readUInt32LE(0)),
    type: symbol.readUInt8(4) & 15, section: symbol.readUInt16LE(6),
    value: Number(symbol.readBigUInt64LE(8)), size: Number(symbol.readBigUInt64LE(16)),
  }));
  const relocated = new Map(sections.filter(({ type }) => type === RELOCATIONS).flatMap(({ info, content }) => (
    records(content, 16).map((entry) => [`${info}:${Number(entry.readBigUInt64LE(0))}`, symbols[entry.readUInt32LE(12)]] as const)
  )));
  return new Map(symbols.filter(({ type }) => type === FUNCTION).map(({ name, section, value, size }) => {
    const instructions = decode(sections[section]?.content.subarray(value, value + size) ?? Buffer.alloc(0), value);
    const called = instructions.flatMap((instruction) => {
      const symbol = relocated.get(`${section}:${instruction.at}`);
      const target = targetOf(instruction, symbol === undefined ? undefined : symbol.value);
      return target === undefined ? [] : [`${symbol?.section ?? section}:${target}`];
    });
    return [`${section}:${value}`, { name, isProgram: sections[section]?.name !== CALLED_SECTION, bytes: frameBytes(instructions), called }];
  }));
}

/** Where in its section a function starts that is called, or whose address is taken: relative to a symbol, or to the call. */
function targetOf({ at, code, from, number }: Instruction, symbol: number | undefined): number | undefined {
  if (code === LOAD_ADDRESS && symbol !== undefined) return symbol + number;
  if (code !== CALL || from === 0) return undefined;
  return (symbol ?? at) + (number + 1) * INSTRUCTION_BYTES;
}

/** The lowest place below the frame pointer that is read, written, or given to somebody. */
function frameBytes(instructions: readonly Instruction[]): number {
  let lowest = 0;
  let copy = -1;
  for (const { code, to, from, offset, number } of instructions) {
    const base = (code & 7) === 1 ? from : to;
    if (MEMORY_CLASSES.includes(code & 7) && base === FRAME_POINTER) lowest = Math.min(lowest, offset);
    if (code === ADD_NUMBER && to === copy) lowest = Math.min(lowest, number);
    copy = code === COPY_REGISTER && from === FRAME_POINTER ? to : -1;
  }
  return Math.max(1, Math.ceil(-lowest / FRAME_UNIT_BYTES)) * FRAME_UNIT_BYTES;
}

function decode(code: Buffer, start: number): readonly Instruction[] {
  return records(code, INSTRUCTION_BYTES).map((bytes, index) => ({
    at: start + index * INSTRUCTION_BYTES, code: bytes.readUInt8(0), to: bytes.readUInt8(1) & 15, from: bytes.readUInt8(1) >> 4,
    offset: bytes.readInt16LE(2), number: bytes.readInt32LE(4),
  }));
}

function readSections(elf: Buffer): readonly Section[] {
  const start = Number(elf.readBigUInt64LE(40));
  const headers = records(elf.subarray(start, start + elf.readUInt16LE(60) * 64), 64);
  const content = (header: Buffer | undefined): Buffer => {
    const from = Number(header?.readBigUInt64LE(24) ?? 0n);
    return elf.subarray(from, from + Number(header?.readBigUInt64LE(32) ?? 0n));
  };
  const names = content(headers[elf.readUInt16LE(62)]);
  return headers.map((header) => ({
    name: textAt(names, header.readUInt32LE(0)), type: header.readUInt32LE(4),
    link: header.readUInt32LE(40), info: header.readUInt32LE(44), content: content(header),
  }));
}

const records = (bytes: Buffer, size: number): readonly Buffer[] => (
  Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
);

const textAt = (bytes: Buffer | undefined, at: number): string => bytes?.toString('latin1', at, bytes.indexOf(0, at)) ?? '';
