/**
 * Whether bytes can be the beginning of what programs send over TLS. In doubt
 * it can: text of any kind, and the binary protocols below. Pointers, counters
 * and other memory of a program cannot.
 */

/** Beginnings are judged by so many bytes. */
const JUDGED_BYTES = 64;
/** Fewer say nothing. */
const LEAST_BYTES = 4;
const HTTP2_HEADER_BYTES = 9;
const HTTP2_TYPES = 0x10;
/** The longest frame before both sides have agreed to longer ones. */
const HTTP2_FRAME_BYTES = 16 * 1024;
const DNS_HEADER_BYTES = 12;
const DNS_QUESTIONS = 16;

export function beginsAsProtocol(bytes: Uint8Array): boolean {
  if (bytes.length < LEAST_BYTES) return true;
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, JUDGED_BYTES));
  return isText(start) || BINARY.some((matches) => matches(start));
}

/** Printable, in UTF-8; the last character may be cut off. */
function isText(start: Buffer): boolean {
  return !start.some(isControl) && !start.toString('utf8').slice(0, -1).includes('\ufffd');
}

/** But for white space and escape, which texts have. */
function isControl(byte: number): boolean {
  return byte < 0x09 || (byte > 0x0d && byte < 0x20 && byte !== 0x1b) || byte === 0x7f;
}

/** Each is given four bytes or more. */
const BINARY: readonly ((start: Buffer) => boolean)[] = [
  isHttp2Frame, isWebSocketFrame, isTlsRecord, isDns, isPostgres, isMysql, isAsn1Sequence, isMqtt,
  // AMQP, MongoDB, Kafka, Cassandra: by their length and what follows it.
  (start) => start.toString('latin1', 0, 4) === 'AMQP',
  (start) => start.length >= 16 && isLength(start.readUInt32LE(0), 16) && [1, 2004, 2010, 2012, 2013].includes(start.readUInt32LE(12)),
  (start) => start.length >= 8 && isLength(start.readUInt32BE(0), 8) && start.readUInt16BE(4) < 128 && start.readUInt16BE(6) < 32,
  // A client asks for the options or begins.
  (start) => start.length >= 9 && [3, 4, 5].includes(start.readUInt8(0) & 0x7f) && [1, 2, 5, 6].includes(start.readUInt8(4)) && isLength(start.readUInt32BE(5), 0),
];

function isLength(value: number, least: number): boolean {
  return value >= least && value < 64 * 1024 * 1024;
}

/** A server begins with SETTINGS; a connection that was joined midway with any frame. */
function isHttp2Frame(start: Buffer): boolean {
  return start.length >= HTTP2_HEADER_BYTES && start.readUIntBE(0, 3) <= HTTP2_FRAME_BYTES && start.readUInt8(3) < HTTP2_TYPES
    && start.readUInt8(5) < 0x80 && (start.readUInt8(4) & 0x92) === 0 && isHttp2Stream(start);
}

/** SETTINGS, PING and GOAWAY are the connection's; others a stream's, of which a young connection has few. */
function isHttp2Stream(start: Buffer): boolean {
  const type = start.readUInt8(3);
  const stream = start.readUInt32BE(5);
  if (type === 4 || type === 6 || type === 7) return stream === 0;
  return type === 8 ? start.readUIntBE(0, 3) === 4 : stream > 0 && stream < 0x1000000;
}

/** A first or only frame, its length in the shortest form. */
function isWebSocketFrame(start: Buffer): boolean {
  const opcode = start.readUInt8(0) & 0x0f;
  const length = start.readUInt8(1) & 0x7f;
  if ((start.readUInt8(0) & 0x30) !== 0 || ![1, 2, 8, 9, 10].includes(opcode)) return false;
  if (length === 126) return start.readUInt16BE(2) > 125;
  if (length === 127) return start.length >= 10 && start.readUInt32BE(2) === 0 && start.readUInt32BE(6) > 0xffff;
  // A short one is common in any memory: its FIN must be there, and of a control frame a sensible length.
  return (start.readUInt8(0) & 0x80) !== 0 && length > 0;
}

/** TLS within TLS: a proxy that is spoken to over it. */
function isTlsRecord(start: Buffer): boolean {
  return start.readUInt8(0) >= 0x14 && start.readUInt8(0) <= 0x17 && start.readUInt8(1) === 3 && start.readUInt8(2) <= 4;
}

/** DNS over TLS. */
function isDns(start: Buffer): boolean {
  if (start.length < 2 + DNS_HEADER_BYTES) return false;
  return start.readUInt16BE(0) >= DNS_HEADER_BYTES && (start.readUInt16BE(4) & 0x0040) === 0
    && start.readUInt16BE(6) >= 1 && start.readUInt16BE(6) <= DNS_QUESTIONS && start.readUInt16BE(8) < 256;
}

/** After its own request for TLS: the startup message of version 3. */
function isPostgres(start: Buffer): boolean {
  return start.length >= 8 && start.readUInt32BE(0) < 10_000 && start.readUInt16BE(4) === 3 && start.readUInt16BE(6) < 16;
}

/** A packet that goes on from the plain greeting. */
function isMysql(start: Buffer): boolean {
  return start.length >= 8 && start.readUIntLE(0, 3) > 0 && start.readUIntLE(0, 3) < 4096 && start.readUInt8(3) >= 1 && start.readUInt8(3) <= 3;
}

/** LDAP: a SEQUENCE that begins with a message number. */
function isAsn1Sequence(start: Buffer): boolean {
  if (start.readUInt8(0) !== 0x30) return false;
  const length = start.readUInt8(1);
  const at = 2 + (length < 0x80 ? 0 : length & 0x7f);
  return at + 1 < start.length && start.readUInt8(at) === 2 && start.readUInt8(at + 1) <= 4;
}

function isMqtt(start: Buffer): boolean {
  if (start.readUInt8(0) === 0x10) return start.includes('MQTT') || start.includes('MQIsdp');
  // CONNACK.
  return start.readUInt8(0) === 0x20 && start.readUInt8(1) >= 2 && start.readUInt8(1) < 0x80 && start.readUInt8(2) <= 1;
}
