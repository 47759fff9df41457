/**
 * Reads a file piece by piece: programs of 300 MB are searched without ever
 * being in memory. Every read is bounded by what the caller asks for.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface FileReader {
  /** In bytes, as it was when the file was opened. */
  readonly size: number;
  /** Which file this is, in which state: changes with its contents, however they were changed. null where it is no file. */
  readonly identity: string | null;
  /** A buffer of its own; shorter than `length` where the file ends, or where it was cut since. */
  read(offset: number, length: number): Buffer;
  /** The same into `into`; gives the part that was filled. */
  readInto(into: Buffer, offset: number): Buffer;
  /** Safe twice. */
  close(): void;
}

/** Throws what open(2) says. */
export function openReader(path: string): FileReader {
  const fd = openSync(path, 'r');
  let isOpen = true;
  const readInto = (into: Buffer, offset: number): Buffer => {
    let filled = 0;
    while (filled < into.length) {
      const read = readSync(fd, into, filled, into.length - filled, offset + filled);
      if (read === 0) break;
      filled += read;
    }
    return into.subarray(0, filled);
  };
  // Who changes a file may set its time of modification back, not that of its change.
  const { size: sizeBytes, dev, ino, mtimeNs, ctimeNs } = fstatSync(fd, { bigint: true });
  const size = Number(sizeBytes);
  return {
    size,
    identity: [dev, ino, mtimeNs, ctimeNs].map((number) => number.toString(16)).join('-'),
    // What an ELF header claims is not believed: nothing is allocated beyond the file's end.
    read: (offset, length) => readInto(Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset))), offset),
    readInto,
    close() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** A file that is in memory already. */
export function bufferReader(bytes: Buffer): FileReader {
  return {
    size: bytes.length,
    identity: null,
    read: (offset, length) => Buffer.from(bytes.subarray(offset, offset + Math.max(0, length))),
    readInto: (into, offset) => into.subarray(0, bytes.copy(into, 0, offset, offset + into.length)),
    close: () => undefined,
  };
}

/** Large enough that a read costs nothing beside the search, small enough that a cold one blocks for some milliseconds. */
const WINDOW_BYTES = 1024 * 1024;

export interface Window {
  /** Where in the file `bytes` begins. */
  readonly offset: number;
  /** Valid until the next window is asked for. */
  readonly bytes: Buffer;
  /** Bytes at the start that the window before had too; what lies wholly in them was seen. */
  readonly seen: number;
}

export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** A range of the file in windows that share `overlap` bytes with the one before: longer than what is looked for. */
export function* windowsOf(reader: FileReader, { offset, length }: Range, overlap: number): Generator<Window> {
  const buffer = Buffer.allocUnsafe(Math.min(WINDOW_BYTES + overlap, Math.max(length, 0)));
  const end = offset + length;
  for (let at = offset, seen = 0; at < end;) {
    const bytes = reader.readInto(buffer.subarray(0, Math.min(buffer.length, end - at)), at);
    yield { offset: at, bytes, seen };
    // The file is shorter than it said, or this was the last window.
    if (bytes.length <= overlap || at + bytes.length >= end) return;
    at += bytes.length - overlap;
    seen = overlap;
  }
}
