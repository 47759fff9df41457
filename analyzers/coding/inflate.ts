/**
 * gzip (RFC 1952, several members too), zlib (RFC 1950) and raw deflate (RFC 1951),
 * checksums included. `deflate` in HTTP means zlib, and many send it raw: the first
 * two bytes tell.
 */
import { type ZStream, pako } from './libraries.ts';
import { AFTER_END, DAMAGED, type Give, NOTHING, type Stage, bufferOf } from './stage.ts';

export type DeflateFormat = 'gzip' | 'zlib or raw' | 'raw';

const OUTPUT_BYTES = 16 * 1024;
/** Window, tables and output buffer. */
const MEMORY_BYTES = 64 * 1024;
const WINDOW_BITS = { gzip: 31, zlib: 15, raw: -15 } as const;

interface Inflater {
  readonly library: ReturnType<typeof pako>;
  readonly format: DeflateFormat;
  readonly stream: ZStream;
  readonly output: Uint8Array<ArrayBuffer>;
  /** First bytes, until there are enough to tell the format. */
  first: Buffer;
  started: boolean;
  /** The last byte so far ended a member, or the whole. */
  ended: boolean;
}

export function createInflateStage(format: DeflateFormat): Stage {
  const library = pako();
  const inflater: Inflater = {
    library, format, stream: new library.ZStream(), output: new Uint8Array(OUTPUT_BYTES), first: NOTHING, started: false, ended: false,
  };
  return {
    push: (bytes, give) => push(inflater, bytes, give),
    whole: () => inflater.ended,
    memoryBytes: () => MEMORY_BYTES,
    close: () => {},
  };
}

function push(inflater: Inflater, bytes: Buffer, give: Give): string | null {
  const input = inflater.started ? bytes : start(inflater, bytes);
  return input.length === 0 ? null : inflate(inflater, input, give);
}

/** Returns the bytes to inflate: none while too few are there. */
function start(inflater: Inflater, bytes: Buffer): Buffer {
  const input = inflater.first.length === 0 ? bytes : Buffer.concat([inflater.first, bytes]);
  if (inflater.format === 'zlib or raw' && input.length < 2) {
    inflater.first = Buffer.from(input);
    return NOTHING;
  }
  inflater.first = NOTHING;
  inflater.started = true;
  inflater.library.zlibInflateInit2(inflater.stream, WINDOW_BITS[inflater.format === 'zlib or raw' ? headerOf(input) : inflater.format]);
  return input;
}

/** The check of RFC 1950 §2.2: method 8, and a multiple of 31. */
function headerOf(bytes: Buffer): 'zlib' | 'raw' {
  const isZlib = ((bytes[0] ?? 0) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
  return isZlib ? 'zlib' : 'raw';
}

function inflate(inflater: Inflater, input: Buffer, give: Give): string | null {
  const { stream, output, library } = inflater;
  stream.input = input;
  stream.next_in = 0;
  stream.avail_in = input.length;
  do {
    if (inflater.ended && !startMember(inflater)) return inflater.format === 'gzip' ? null : AFTER_END;
    stream.output = output;
    stream.next_out = 0;
    stream.avail_out = output.length;
    const status = library.zlibInflate(stream, library.Z_SYNC_FLUSH);
    if (stream.next_out > 0 && !give(bufferOf(output.subarray(0, stream.next_out)))) return null;
    if (status === library.Z_STREAM_END) inflater.ended = true;
    else if (status === library.Z_BUF_ERROR) return null;
    else if (status !== library.Z_OK) return DAMAGED;
  } while (stream.avail_in > 0 || (stream.avail_out === 0 && !inflater.ended));
  return null;
}

/** More bytes after an end: another member of gzip, padding with zeros, which is no part of the body, or more of a message stream. */
function startMember(inflater: Inflater): boolean {
  const { stream, format, library } = inflater;
  if (format === 'zlib or raw' || (format === 'gzip' && stream.input[stream.next_in] === 0)) return false;
  // A message of a WebSocket may end its blocks and refer to what came before all the same (RFC 7692 §7.2.3.5).
  if (format === 'raw') library.zlibInflateResetKeep(stream);
  else library.zlibInflateReset(stream);
  inflater.ended = false;
  return true;
}
