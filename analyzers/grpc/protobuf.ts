/**
 * Reads protobuf without its schema (wire format of the encoding guide): numbers
 * of fields, wire types and raw values. Bytes that are valid UTF-8 without control
 * characters are text; others are tried as a message, and that is marked as a guess.
 */
import { isUtf8 } from 'node:buffer';
import type { ProtobufField } from '../../src/event.ts';

export interface ProtobufLimits {
  readonly protobufFields: number;
  readonly protobufDepth: number;
}

interface Reader {
  readonly bytes: Buffer;
  readonly limits: ProtobufLimits;
  readonly depth: number;
  at: number;
  /** Fields that may still be read, nested ones included. */
  readonly room: { left: number };
}

const VARINT_BYTES = 10;
const FIELD_NUMBER_MAX = 2 ** 29 - 1;
/** Text has none of these; a message nearly always does. */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/** null when the bytes are no message, or one over the limits. */
export function readMessage(bytes: Buffer, limits: ProtobufLimits): readonly ProtobufField[] | null {
  return readFields({ bytes, limits, depth: 0, at: 0, room: { left: limits.protobufFields } }, null);
}

/** Up to the end of the bytes, or of the group of this number. */
function readFields(reader: Reader, group: number | null): readonly ProtobufField[] | null {
  const fields: ProtobufField[] = [];
  while (reader.at < reader.bytes.length) {
    const tag = varint(reader);
    if (tag === null) return null;
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (number < 1 || number > FIELD_NUMBER_MAX) return null;
    if (wire === 4) return number === group ? fields : null;
    if (reader.room.left-- <= 0) return null;
    const field = readField(reader, number, wire);
    if (field === null) return null;
    fields.push(field);
  }
  return group === null ? fields : null;
}

function readField(reader: Reader, number: number, wire: number): ProtobufField | null {
  switch (wire) {
    case 0: {
      const value = varint(reader);
      return value === null ? null : numberField(number, 'varint', value);
    }
    case 1: return fixed(reader, number, 8);
    case 2: return bytesField(reader, number);
    case 3: {
      if (reader.depth >= reader.limits.protobufDepth) return null;
      const inner: Reader = { ...reader, depth: reader.depth + 1 };
      const fields = readFields(inner, number);
      reader.at = inner.at;
      return fields === null ? null : { number, wire: 'group', value: '', encoding: 'utf8', fields, guessed: false };
    }
    case 5: return fixed(reader, number, 4);
    default: return null;
  }
}

function numberField(number: number, wire: 'varint' | 'fixed64' | 'fixed32', value: bigint | number): ProtobufField {
  return { number, wire, value: value.toString(), encoding: 'utf8', fields: null, guessed: false };
}

function fixed(reader: Reader, number: number, size: 4 | 8): ProtobufField | null {
  const { bytes, at } = reader;
  if (at + size > bytes.length) return null;
  reader.at += size;
  return size === 4 ? numberField(number, 'fixed32', bytes.readUInt32LE(at)) : numberField(number, 'fixed64', bytes.readBigUInt64LE(at));
}

function bytesField(reader: Reader, number: number): ProtobufField | null {
  const length = varint(reader);
  if (length === null || length > BigInt(reader.bytes.length - reader.at)) return null;
  const start = reader.at;
  reader.at += Number(length);
  const content = reader.bytes.subarray(start, reader.at);
  if (isUtf8(content)) {
    const value = content.toString('utf8');
    if (!CONTROL.test(value)) return { number, wire: 'bytes', value, encoding: 'utf8', fields: null, guessed: false };
  }
  return { number, wire: 'bytes', value: content.toString('base64'), encoding: 'base64', ...guess(reader, content) };
}

function guess(reader: Reader, bytes: Buffer): Pick<ProtobufField, 'fields' | 'guessed'> {
  const { limits, depth, room } = reader;
  if (depth >= limits.protobufDepth) return { fields: null, guessed: false };
  const { left } = room;
  const fields = readFields({ bytes, limits, depth: depth + 1, at: 0, room }, null);
  // A guess that failed has used up nothing, or one bad field would hide the others.
  if (fields === null) room.left = left;
  return { fields, guessed: fields !== null };
}

function varint(reader: Reader): bigint | null {
  let value = 0n;
  for (let i = 0; i < VARINT_BYTES && reader.at < reader.bytes.length; i++) {
    const byte = reader.bytes[reader.at++] as number;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if ((byte & 0x80) === 0) return BigInt.asUintN(64, value);
  }
  return null;
}
