/**
 * Go's own table of functions, .gopclntab: every Go program has it, stripped
 * or not, because its garbage collector and its stack traces need it. Read are
 * the layouts of Go 1.16 to 1.17, 1.18 to 1.19, and 1.20 and later; only
 * the entries asked for are looked at.
 *
 * Spec: Go's debug/gosym/pclntab.go and cmd/link/internal/ld/pcln.go.
 */
import type { ElfView } from './elf.ts';
import { windowsOf, type Range } from './reader.ts';

export interface GoFunction {
  /** Distances from `textStart`; `end` is where the next function starts. */
  readonly start: number;
  readonly end: number;
}

export interface GoTable {
  /**
   * An address before the loader moves the file. 0 where functions are told by
   * their addresses; null where the table does not say, as in position-independent programs.
   */
  readonly textStart: number | null;
  /** Those of `names` that the program has. */
  find(names: readonly string[]): Generator<undefined, ReadonlyMap<string, GoFunction>>;
}

const SECTIONS = ['.gopclntab', '.data.rel.ro.gopclntab'];
const MAGIC_1_16 = 0xfffffffa;
const MAGIC_1_18 = 0xfffffff0;
const MAGIC_1_20 = 0xfffffff1;
const HEADER_BYTES = 8 + 8 * 8;
const POINTER_BYTES = 8;
/** More than the largest programs have. */
const FUNCTIONS_MAX = 8_000_000;

/** `absent`: no Go program. A text: it is one, but its table cannot be read, and why. */
export function readGoTable(elf: ElfView): GoTable | 'absent' | { readonly reason: string } {
  const section = SECTIONS.map((name) => elf.section(name)).find((found) => found !== null);
  if (section == null) return 'absent';
  const header = elf.reader.read(section.offset, HEADER_BYTES);
  if (header.length < HEADER_BYTES || header.readUInt16LE(4) !== 0 || header[7] !== POINTER_BYTES) {
    return { reason: 'its function table has no header that we know' };
  }
  const magic = header.readUInt32LE(0);
  if (magic !== MAGIC_1_16 && magic !== MAGIC_1_18 && magic !== MAGIC_1_20) {
    return { reason: `its function table is of a kind that we do not know (0x${magic.toString(16)}): Go before 1.16, or newer than this program` };
  }
  const isOld = magic === MAGIC_1_16;
  const word = (index: number): number => Number(header.readBigUInt64LE(8 + index * 8));
  const count = word(0);
  const [nameOffset, unitOffset, tableOffset] = isOld ? [word(2), word(3), word(6)] : [word(3), word(4), word(7)];
  if (count === 0 || count > FUNCTIONS_MAX || !(nameOffset < unitOffset && unitOffset <= section.length && tableOffset < section.length)) {
    return { reason: 'its function table contradicts itself' };
  }
  const layout: Layout = {
    elf,
    names: { offset: section.offset + nameOffset, length: unitOffset - nameOffset },
    table: { offset: section.offset + tableOffset, length: section.length - tableOffset },
    count,
    // Go 1.16 writes addresses as pointers, later ones 32-bit distances.
    fieldBytes: isOld ? 8 : 4,
  };
  const said = isOld ? 0 : word(2);
  return { textStart: isOld || said !== 0 ? said : null, find: (names) => findFunctions(layout, names) };
}

interface Layout {
  readonly elf: ElfView;
  readonly names: Range;
  /** (start, where its description is) of each function by start, then one end; then the descriptions. */
  readonly table: Range;
  readonly count: number;
  readonly fieldBytes: 4 | 8;
}

function* findFunctions(layout: Layout, names: readonly string[]): Generator<undefined, ReadonlyMap<string, GoFunction>> {
  const wanted = new Map<number, string>();
  for (const name of names) {
    const at = yield* findName(layout, name);
    if (at !== null) wanted.set(at, name);
  }
  const found = new Map<string, GoFunction>();
  const { elf, table, count, fieldBytes } = layout;
  const descriptions = (2 * count + 1) * fieldBytes;
  const range = { offset: table.offset + descriptions, length: table.length - descriptions };
  const patterns = Array.from(wanted, ([at, name]) => ({ name, bytes: int32(at) }));
  for (const { offset, bytes, seen } of windowsOf(elf.reader, range, 2 * fieldBytes)) {
    for (const pattern of patterns) {
      if (found.has(pattern.name)) continue;
      // A description begins with the function's start and the place of its name.
      for (let at = bytes.indexOf(pattern.bytes, Math.max(fieldBytes, seen - 4)); at !== -1; at = bytes.indexOf(pattern.bytes, at + 1)) {
        const start = field(bytes, at - fieldBytes, fieldBytes);
        const known = functionAt(layout, start, offset + at - fieldBytes - table.offset);
        if (known === null) continue;
        found.set(pattern.name, known);
        break;
      }
    }
    if (found.size === wanted.size) break;
    yield;
  }
  return found;
}

/** Where in the table of names; null when the program has no such function. */
function* findName({ elf, names }: Layout, name: string): Generator<undefined, number | null> {
  const pattern = Buffer.from(`\0${name}\0`, 'latin1');
  for (const { offset, bytes } of windowsOf(elf.reader, names, pattern.length)) {
    const at = bytes.indexOf(pattern);
    if (at !== -1) return offset + at + 1 - names.offset;
    yield;
  }
  return null;
}

/** The function that starts there, when the table has it with this very description. */
function functionAt({ elf, table, count, fieldBytes }: Layout, start: number, description: number): GoFunction | null {
  const rowBytes = 2 * fieldBytes;
  const rowAt = (index: number): Buffer => elf.reader.read(table.offset + index * rowBytes, rowBytes + fieldBytes);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rowAt(middle);
    if (row.length < rowBytes) return null;
    if (field(row, 0, fieldBytes) < start) low = middle + 1;
    else high = middle;
  }
  if (low >= count) return null;
  const row = rowAt(low);
  if (row.length < rowBytes + fieldBytes || field(row, 0, fieldBytes) !== start || field(row, fieldBytes, fieldBytes) !== description) return null;
  return { start, end: field(row, rowBytes, fieldBytes) };
}

function field(bytes: Buffer, at: number, length: 4 | 8): number {
  return length === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at));
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
