/**
 * Which function holds an address, by .eh_frame_hdr: a sorted table of function
 * starts that every C++ program and most others carry for unwinding, stripped
 * or not. Only the encoding that linkers write is read (pc-relative and
 * table-relative, 32 bits, signed).
 *
 * Spec: Linux Standard Base, "DWARF Extensions" and ".eh_frame_hdr".
 */
export interface FunctionRange {
  readonly start: number;
  /** null where the entry is of a kind that is not read. */
  readonly end: number | null;
}

export interface UnwindTableOptions {
  readonly headerAddress: number;
  readonly headerLength: number;
  readonly readAt: (address: number, length: number) => Buffer;
}

export type FindFunction = (address: number) => FunctionRange | null;

/** Version 1; pc-relative sdata4, udata4, data-relative sdata4. */
const HEADER = Buffer.from([1, 0x1b, 0x03, 0x3b]);
const HEADER_BYTES = 12;
const ENTRY_BYTES = 8;

export function createUnwindTable({ headerAddress, headerLength, readAt }: UnwindTableOptions): FindFunction {
  let entries: number | null = null;
  const countEntries = (): number => {
    const header = readAt(headerAddress, HEADER_BYTES);
    if (header.length < HEADER_BYTES || !header.subarray(0, HEADER.length).equals(HEADER)) return 0;
    return Math.min(header.readUInt32LE(8), Math.floor((headerLength - HEADER_BYTES) / ENTRY_BYTES));
  };
  const entryAt = (index: number): { start: number; entry: number } | null => {
    const row = readAt(headerAddress + HEADER_BYTES + index * ENTRY_BYTES, ENTRY_BYTES);
    if (row.length < ENTRY_BYTES) return null;
    return { start: headerAddress + row.readInt32LE(0), entry: headerAddress + row.readInt32LE(4) };
  };

  return (address) => {
    entries ??= countEntries();
    let low = 0;
    let high = entries;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = entryAt(middle);
      if (found === null) return null;
      if (found.start <= address) low = middle + 1;
      else high = middle;
    }
    const found = low === 0 ? null : entryAt(low - 1);
    if (found === null) return null;
    const end = endOf(found.start, found.entry, readAt);
    return end !== null && address >= end ? null : { start: found.start, end };
  };
}

/** An entry is length, distance to its common part, start, length; the start must be what the table says. */
function endOf(start: number, entry: number, readAt: UnwindTableOptions['readAt']): number | null {
  const bytes = readAt(entry, 16);
  if (bytes.length < 16 || bytes.readUInt32LE(0) === 0xffffffff) return null;
  return entry + 8 + bytes.readInt32LE(8) === start ? start + bytes.readUInt32LE(12) : null;
}
