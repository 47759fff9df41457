/**
 * What a search needs to know of an ELF file, read in small pieces: 64-bit and
 * little-endian ones only. Nothing in the file is believed: counts, sizes and
 * addresses are checked against the file before they are used.
 *
 * Spec: System V ABI, chapters 4 and 5.
 */
import { createUnwindTable, type FunctionRange } from './eh-frame.ts';
import type { FileReader, Range } from './reader.ts';

export interface Segment extends Range {
  /** Where it is in memory, before the loader moves the whole file. */
  readonly address: number;
  readonly memoryLength: number;
  readonly executable: boolean;
  readonly writable: boolean;
}

export interface Section extends Range {
  readonly name: string;
  readonly address: number;
  readonly type: number;
}

export type Machine = 'x86-64' | 'arm64' | 'other';

export interface ElfView {
  readonly reader: FileReader;
  readonly machine: Machine;
  /** Wherever the loader puts it, rather than at the addresses that the file names. */
  readonly isMovable: boolean;
  /** Hex; null when it has none. */
  readonly buildId: string | null;
  /** PT_LOAD, by address. */
  readonly segments: readonly Segment[];
  /** The executable ones. */
  readonly code: readonly Segment[];
  /** Constants with addresses in them, which nobody writes once the loader has filled these in; null where they are not set apart. */
  readonly relro: Segment | null;
  /** null where it is absent: a program needs no section table to run. */
  section(name: string): Section | null;
  /** Where in the file an address is, what a uprobe wants; null where no byte of the file is there. */
  offsetOf(address: number): number | null;
  addressOf(offset: number): number | null;
  /** Fewer bytes where the segment ends. */
  readAt(address: number, length: number): Buffer;
  /** The function that holds an address, by the unwind tables; null where they do not know. */
  functionAt(address: number): FunctionRange | null;
}

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SECTION_HEADER_BYTES = 64;
/** More than any linker writes. */
const SEGMENTS_MAX = 256;
/** A file of one section per function would have more: its names are then not known, which costs a search and no more. */
const SECTIONS_MAX = 4096;
const NAMES_BYTES_MAX = 256 * 1024;
const NOTES_BYTES_MAX = 64 * 1024;
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const MACHINES: Readonly<Record<number, Machine>> = { 62: 'x86-64', 183: 'arm64' };
const ET_DYN = 3;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PT_GNU_EH_FRAME = 0x6474e550;
const PT_GNU_RELRO = 0x6474e552;
const SHT_NOBITS = 8;
const NT_GNU_BUILD_ID = 3;

interface ProgramHeader extends Range {
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly memoryLength: number;
}

/** null for what is no ELF file of this kind. */
export function readElfView(reader: FileReader): ElfView | null {
  const header = reader.read(0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const programHeaders = readProgramHeaders(reader, header);
  const segments = programHeaders.filter(({ type }) => type === PT_LOAD).map(segmentOf).sort((a, b) => a.address - b.address);

  const offsetOf = (address: number): number | null => {
    const found = segments.find((segment) => address >= segment.address && address - segment.address < segment.length);
    return found === undefined ? null : address - found.address + found.offset;
  };
  const addressOf = (offset: number): number | null => {
    const found = segments.find((segment) => offset >= segment.offset && offset - segment.offset < segment.length);
    return found === undefined ? null : offset - found.offset + found.address;
  };
  const readAt = (address: number, length: number): Buffer => {
    const found = segments.find((segment) => address >= segment.address && address - segment.address < segment.length);
    if (found === undefined) return Buffer.alloc(0);
    const at = address - found.address;
    return reader.read(found.offset + at, Math.min(length, found.length - at));
  };
  const unwind = programHeaders.find(({ type }) => type === PT_GNU_EH_FRAME);
  const functions = unwind === undefined ? null : createUnwindTable({ headerAddress: unwind.address, headerLength: unwind.length, readAt });
  let sections: ReadonlyMap<string, Section> | null = null;
  return {
    reader,
    machine: MACHINES[header.readUInt16LE(18)] ?? 'other',
    isMovable: header.readUInt16LE(16) === ET_DYN,
    buildId: readBuildId(reader, programHeaders),
    segments,
    code: segments.filter(({ executable }) => executable),
    relro: programHeaders.filter(({ type }) => type === PT_GNU_RELRO).map(segmentOf)[0] ?? null,
    section: (name) => (sections ??= readSections(reader, header)).get(name) ?? null,
    offsetOf,
    addressOf,
    readAt,
    functionAt: (address) => functions?.(address) ?? null,
  };
}

function readProgramHeaders(reader: FileReader, header: Buffer): ProgramHeader[] {
  const size = header.readUInt16LE(54);
  const count = Math.min(header.readUInt16LE(56), SEGMENTS_MAX);
  if (size !== PROGRAM_HEADER_BYTES) return [];
  const table = reader.read(number64(header, 32), count * size);
  const found: ProgramHeader[] = [];
  for (let at = 0; at + size <= table.length; at += size) {
    const entry: ProgramHeader = {
      type: table.readUInt32LE(at),
      flags: table.readUInt32LE(at + 4),
      offset: number64(table, at + 8),
      address: number64(table, at + 16),
      length: number64(table, at + 32),
      memoryLength: number64(table, at + 40),
    };
    if (isWithin(entry, reader.size)) found.push(entry);
  }
  return found;
}

function segmentOf({ offset, length, address, memoryLength, flags }: ProgramHeader): Segment {
  return { offset, length, address, memoryLength, executable: (flags & 1) !== 0, writable: (flags & 2) !== 0 };
}

function readSections(reader: FileReader, header: Buffer): ReadonlyMap<string, Section> {
  const size = header.readUInt16LE(58);
  const count = Math.min(header.readUInt16LE(60), SECTIONS_MAX);
  const sections = new Map<string, Section>();
  if (size !== SECTION_HEADER_BYTES) return sections;
  const table = reader.read(number64(header, 40), count * size);
  const at = (index: number): Omit<Section, 'name'> => ({
    type: table.readUInt32LE(index * size + 4),
    address: number64(table, index * size + 16),
    offset: number64(table, index * size + 24),
    length: number64(table, index * size + 32),
  });
  const rows = Math.floor(table.length / size);
  const namesIndex = header.readUInt16LE(62);
  if (namesIndex >= rows) return sections;
  const names = at(namesIndex);
  const text = reader.read(names.offset, Math.min(names.length, NAMES_BYTES_MAX));
  for (let index = 1; index < rows; index++) {
    const start = table.readUInt32LE(index * size);
    const end = text.indexOf(0, start);
    const entry = at(index);
    // Bytes that only memory has are in no file.
    if (end === -1 || entry.type === SHT_NOBITS || !isWithin(entry, reader.size)) continue;
    const name = text.toString('latin1', start, end);
    if (!sections.has(name)) sections.set(name, { ...entry, name });
  }
  return sections;
}

function readBuildId(reader: FileReader, headers: readonly ProgramHeader[]): string | null {
  for (const { type, offset, length } of headers) {
    if (type !== PT_NOTE) continue;
    const notes = reader.read(offset, Math.min(length, NOTES_BYTES_MAX));
    for (let at = 0; at + 12 <= notes.length;) {
      const nameLength = notes.readUInt32LE(at);
      const textLength = notes.readUInt32LE(at + 4);
      const textAt = at + 12 + align4(nameLength);
      const isBuildId = notes.readUInt32LE(at + 8) === NT_GNU_BUILD_ID && notes.toString('latin1', at + 12, at + 12 + nameLength) === 'GNU\0';
      if (isBuildId && textLength > 0 && textAt + textLength <= notes.length) return notes.toString('hex', textAt, textAt + textLength);
      at = textAt + align4(textLength);
    }
  }
  return null;
}

function align4(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function isWithin({ offset, length }: Range, size: number): boolean {
  return Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset + length <= size;
}

/** Addresses of programs have 47 bits: a number holds them exactly. What has more is refused by the checks above. */
export function number64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}
