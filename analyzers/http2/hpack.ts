/**
 * Reads header blocks of HPACK (RFC 7541 §3 and §6). Fields that refer to
 * entries that were never seen are null in name or value. Strings are UTF-8
 * where valid, ISO 8859-1 otherwise, as in `http1/head.ts`.
 *
 * Secrets are masked before anything keeps them: in the block's own bytes, and so
 * in the table and in the capture alike.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { SecretMarks } from '../../src/event.ts';
import { MASK, type Range, masked, secretsOf } from '../http/mask.ts';
import { decodeHuffman, maskHuffman, wholeMask } from './huffman.ts';
import { type Field, type Table, insert, lookUp, resize } from './table.ts';

export interface Secrets {
  /** Ranges of secrets in lines of fields. */
  locate(bytes: Buffer): readonly Range[];
  /** Bytes of the block from `start` on are now these. */
  onMasked(start: number, bytes: Buffer): void;
}

interface Reader {
  readonly table: Table;
  readonly bytes: Buffer;
  readonly secrets: Secrets | null;
  at: number;
}

/** A string on the wire, and what it says. */
interface Literal {
  readonly start: number;
  readonly coded: Buffer;
  readonly huffman: boolean;
  readonly text: Buffer;
}

/** Larger than any block. */
const INTEGER_MAX = 0x0fff_ffff;
/** More rounds than any value needs that was not made to need them. */
const ROUNDS_MAX = 4;

/** null when the block makes no sense: the table is then not what the sender has. */
export function decodeBlock(table: Table, bytes: Buffer, secrets: Secrets | null): readonly Field[] | null {
  const reader: Reader = { table, bytes, secrets, at: 0 };
  const fields: Field[] = [];
  while (reader.at < bytes.length) {
    const first = bytes[reader.at] as number;
    if ((first & 0xe0) === 0x20) {
      const capacity = integer(reader, 5);
      if (capacity === -1) return null;
      resize(table, capacity);
      continue;
    }
    const field = (first & 0x80) === 0 ? literal(reader, first) : indexed(reader);
    if (field === null) return null;
    fields.push(field);
  }
  return fields;
}

function indexed(reader: Reader): Field | null {
  const index = integer(reader, 7);
  return index < 1 ? null : lookUp(reader.table, index);
}

function literal(reader: Reader, first: number): Field | null {
  const kept = (first & 0xc0) === 0x40;
  const index = integer(reader, kept ? 6 : 4);
  if (index === -1) return null;
  const named = index === 0 ? null : lookUp(reader.table, index);
  if (index > 0 && named === null) return null;
  const name = index === 0 ? string(reader) : null;
  if (index === 0 && name === null) return null;
  const value = string(reader);
  if (value === null) return null;
  const field = maskField(reader.secrets, named, name, value);
  if (kept) insert(reader.table, field);
  return field;
}

/** §5.1; -1 when it is cut or too large. */
function integer(reader: Reader, bits: number): number {
  const { bytes } = reader;
  const all = (1 << bits) - 1;
  let value = (bytes[reader.at++] as number) & all;
  if (value < all) return value;
  for (let shift = 0; reader.at < bytes.length && shift <= 28; shift += 7) {
    const byte = bytes[reader.at++] as number;
    value += (byte & 0x7f) * 2 ** shift;
    if (value > INTEGER_MAX) return -1;
    if ((byte & 0x80) === 0) return value;
  }
  return -1;
}

function string(reader: Reader): Literal | null {
  if (reader.at >= reader.bytes.length) return null;
  const huffman = ((reader.bytes[reader.at] as number) & 0x80) !== 0;
  const length = integer(reader, 7);
  const start = reader.at;
  if (length === -1 || start + length > reader.bytes.length) return null;
  reader.at = start + length;
  const coded = reader.bytes.subarray(start, start + length);
  const text = huffman ? decodeHuffman(coded) : coded;
  return text === null ? null : { start, coded, huffman, text };
}

/** The field as it may be shown. A value without its name is a secret: nobody can say that it is none. */
function maskField(secrets: Secrets | null, named: Field | null, name: Literal | null, value: Literal): Field {
  if (secrets === null) return { name: name === null ? named?.name ?? null : textOf(name.text), value: textOf(value.text) };
  if (name === null && named?.name == null) return { name: null, value: textOf(coverWhole(secrets, value)) };
  const known = Buffer.from(named?.name ?? '', 'latin1');
  let shown = { name: name?.text ?? known, value: value.text };
  let last = { name, value };
  let marks: SecretMarks = [];
  for (let round = 0; ; round++) {
    const { ranges, from } = rangesOf(secrets, shown);
    if (ranges.length === 0) break;
    // Later rounds look at masks.
    if (round === 0) marks = secretsOf(ranges);
    const next = { name: last.name === null ? null : maskLiteral(last.name, shiftRanges(ranges, 1)), value: maskLiteral(last.value, shiftRanges(ranges, from)) };
    if (round === ROUNDS_MAX) {
      return { name: textOf(name === null ? known : coverWhole(secrets, name)), value: textOf(coverWhole(secrets, value)) };
    }
    const settled = next.value.coded.equals(last.value.coded) && (next.name === null || last.name === null || next.name.coded.equals(last.name.coded));
    last = next;
    shown = { name: next.name?.text ?? known, value: next.value.text };
    if (settled) break;
  }
  if (last.name !== null && last.name !== name) secrets.onMasked(last.name.start, last.name.coded);
  if (last.value !== value) secrets.onMasked(last.value.start, last.value.coded);
  const field = { name: textOf(shown.name), value: textOf(shown.value) };
  return marks.length === 0 ? field : { ...field, secrets: marks };
}

/** As a line of a head, after the one that a head begins with. */
function rangesOf(secrets: Secrets, { name, value }: { readonly name: Buffer; readonly value: Buffer }) {
  const line = Buffer.allocUnsafe(name.length + value.length + 3);
  line[0] = 0x0a;
  line.set(name, 1);
  line.write(': ', name.length + 1, 'latin1');
  line.set(value, name.length + 3);
  return { ranges: secrets.locate(line), from: name.length + 3 };
}

function shiftRanges(ranges: readonly Range[], from: number): readonly Range[] {
  return ranges.map(({ start, end }) => ({ start: Math.max(0, start - from), end: Math.max(0, end - from) }));
}

function maskLiteral(one: Literal, ranges: readonly Range[]): Literal {
  const inside = ranges.map(({ start, end }) => ({ start, end: Math.min(end, one.text.length) })).filter(({ start, end }) => end > start);
  if (inside.length === 0) return one;
  if (!one.huffman) {
    const text = masked(one.text, inside);
    return { ...one, coded: text, text };
  }
  const coded = maskHuffman(one.coded, one.text, inside);
  return { ...one, coded, text: decodeHuffman(coded) ?? one.text.subarray(0, 0) };
}

/** Masks all of it, and returns what it then says. */
function coverWhole(secrets: Secrets, { start, coded, huffman }: Literal): Buffer {
  const cover = huffman ? wholeMask(coded.length) : Buffer.alloc(coded.length, MASK);
  secrets.onMasked(start, cover);
  return Buffer.alloc(coded.length, MASK);
}

function textOf(bytes: Buffer): string {
  return !isAscii(bytes) && isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
}

