/**
 * A TLS ClientHello (RFC 8446 §4.1.2) from the record that begins a
 * connection: who is asked for, and what is offered. Never trusts a length.
 */

export interface ClientHello {
  readonly serverName: string | null;
  readonly alpn: readonly string[];
  /** Highest version offered. */
  readonly version: string | null;
}

const RECORD_HEADER_BYTES = 5;
const HANDSHAKE_HEADER_BYTES = 4;
const RANDOM_BYTES = 32;
const EXTENSION = { serverName: 0, alpn: 16, supportedVersions: 43 } as const;
const VERSIONS: Readonly<Record<number, string>> = { 0x0300: 'SSL 3.0', 0x0301: '1.0', 0x0302: '1.1', 0x0303: '1.2', 0x0304: '1.3' };
/** A host name has at most 253 characters; protocols are a few. */
const MAX_NAME_BYTES = 253;
const MAX_PROTOCOLS = 32;
const NOTHING_SAID: ClientHello = { serverName: null, alpn: [], version: null };

/** `bytes` are the first record. null when it is no ClientHello. */
export function parseClientHello(bytes: Buffer): ClientHello | null {
  if (bytes.length < RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES || bytes[0] !== 0x16 || bytes[RECORD_HEADER_BYTES] !== 1) return null;
  const cursor = createCursor(bytes, RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES, bytes.length);
  const legacy = cursor.u16();
  cursor.skip(RANDOM_BYTES);
  cursor.skip(cursor.u8());
  cursor.skip(cursor.u16());
  cursor.skip(cursor.u8());
  if (cursor.failed()) return null;
  // It goes on in another record: that it is a greeting is all that can be said.
  if (bytes.readUIntBE(RECORD_HEADER_BYTES + 1, 3) > bytes.length - RECORD_HEADER_BYTES - HANDSHAKE_HEADER_BYTES) return NOTHING_SAID;
  let hello: ClientHello = { serverName: null, alpn: [], version: VERSIONS[legacy] ?? null };
  // Before TLS 1.2 there may be no extensions at all.
  const extensions = cursor.left() === 0 ? cursor : cursor.slice(cursor.u16());
  if (cursor.failed()) return null;
  while (extensions.left() > 0) {
    const type = extensions.u16();
    const body = extensions.slice(extensions.u16());
    if (extensions.failed()) return null;
    if (type === EXTENSION.serverName) hello = { ...hello, serverName: serverNameOf(body) };
    else if (type === EXTENSION.alpn) hello = { ...hello, alpn: protocolsOf(body) };
    else if (type === EXTENSION.supportedVersions) hello = { ...hello, version: highestOf(body) ?? hello.version };
  }
  return hello;
}

function serverNameOf(body: Cursor): string | null {
  const list = body.slice(body.u16());
  if (list.u8() !== 0) return null;
  const name = list.text(list.u16());
  return list.failed() || name.length === 0 || name.length > MAX_NAME_BYTES ? null : name;
}

function protocolsOf(body: Cursor): readonly string[] {
  const list = body.slice(body.u16());
  const names: string[] = [];
  while (list.left() > 0 && names.length < MAX_PROTOCOLS) {
    const name = list.text(list.u8());
    if (list.failed()) break;
    names.push(name);
  }
  return names;
}

/** Values that nobody means (GREASE, RFC 8701) are in no table. */
function highestOf(body: Cursor): string | null {
  const list = body.slice(body.u8());
  let highest = 0;
  while (list.left() > 1) {
    const version = list.u16();
    if (VERSIONS[version] !== undefined && version > highest) highest = version;
  }
  return VERSIONS[highest] ?? null;
}

/** Reads forward; past the end everything is 0 and `failed`. */
interface Cursor {
  u8(): number;
  u16(): number;
  skip(count: number): void;
  slice(count: number): Cursor;
  text(count: number): string;
  left(): number;
  failed(): boolean;
}

function createCursor(bytes: Buffer, start: number, end: number): Cursor {
  let at = start;
  let failed = false;
  const take = (count: number): number => {
    const from = at;
    if (count > end - at) failed = true;
    at = failed ? end : at + count;
    return failed ? -1 : from;
  };
  return {
    u8() {
      const from = take(1);
      return from < 0 ? 0 : bytes.readUInt8(from);
    },
    u16() {
      const from = take(2);
      return from < 0 ? 0 : bytes.readUInt16BE(from);
    },
    skip: (count) => void take(count),
    slice(count) {
      const from = take(count);
      return from < 0 ? createCursor(bytes, end, end) : createCursor(bytes, from, from + count);
    },
    text(count) {
      const from = take(count);
      return from < 0 ? '' : bytes.toString('latin1', from, from + count);
    },
    left: () => (failed ? 0 : end - at),
    failed: () => failed,
  };
}
