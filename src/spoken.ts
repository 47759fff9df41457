/**
 * What a connection speaks that is neither HTTP nor TLS, told by the first bytes
 * of its two directions: eight of each are enough, and all that the kernel keeps.
 * Nothing of it is parsed further.
 *
 * - PostgreSQL: the client's startup message, or its wish for TLS, GSSAPI or a cancel (protocol 3, §55.7 of its manual)
 * - MySQL and MariaDB: the server's greeting of protocol 10, or its refusal
 * - Redis: the client's array of bulk strings (RESP), or a command by hand and its answer
 * - DNS: a query with one question, over UDP or, after its length, over TCP and TLS
 */
export type Spoken = 'http' | 'tls' | 'dns' | 'postgresql' | 'mysql' | 'redis';

export interface FirstBytes {
  readonly read: Uint8Array;
  readonly write: Uint8Array;
  /** Each call carries a message of its own, as over UDP. */
  readonly isDatagram?: boolean;
}

/** null: nothing that we know. */
export function spokenIn({ read, write, isDatagram = false }: FirstBytes): Spoken | null {
  const sides = [bufferOf(read), bufferOf(write)] as const;
  if (isDatagram) return sides.some((side) => isDnsMessage(side, 0)) ? 'dns' : null;
  if (sides.some(isPostgres)) return 'postgresql';
  if (sides.some(isMysql)) return 'mysql';
  if (sides.some(isRedis) || isRedisByHand(sides[0], sides[1]) || isRedisByHand(sides[1], sides[0])) return 'redis';
  return sides.some((side) => side.length >= 8 && side.readUInt16BE(0) >= DNS_LEAST_BYTES && isDnsMessage(side, 2)) ? 'dns' : null;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Codes in place of a version, each with the one length that its message has. */
const POSTGRES_REQUESTS: Readonly<Record<number, number>> = { 80_877_102: 16, 80_877_103: 8, 80_877_104: 8 };
const POSTGRES_STARTUP_BYTES = 10_000;

function isPostgres(start: Buffer): boolean {
  if (start.length < 8) return false;
  const length = start.readUInt32BE(0);
  const code = start.readUInt32BE(4);
  if (POSTGRES_REQUESTS[code] !== undefined) return POSTGRES_REQUESTS[code] === length;
  return code >>> 16 === 3 && (code & 0xffff) < 16 && length > 8 && length <= POSTGRES_STARTUP_BYTES;
}

/** A greeting is some 80 bytes, and the first packet of the connection; its version begins with a digit. */
function isMysql(start: Buffer): boolean {
  if (start.length < 6 || start.readUIntLE(0, 3) < 9 || start.readUIntLE(0, 3) > 1024 || start[3] !== 0) return false;
  if (start[4] === 0x0a) return /^\d[\d.]?$/.test(start.toString('latin1', 5, 7));
  // Too many connections, a blocked host: an error with its number, from 1000 on.
  return start[4] === 0xff && start.length >= 7 && start.readUInt16LE(5) >= 1000 && start.readUInt16LE(5) < 5000;
}

function isRedis(start: Buffer): boolean {
  return /^\*\d{1,4}\r\n\$/.test(start.toString('latin1', 0, 16));
}

/** Those that people type, and that end before the eighth byte. */
const REDIS_COMMANDS = [
  'ping|info|auth|hello|select|echo|quit|dbsize|time|role|client|config|monitor|multi|publish|eval', 'keys|scan|exists|type|ttl|pttl|expire|persist|rename|del|unlink',
  'set|setnx|setex|get|getset|getdel|mget|mset|append|strlen|incr|decr|incrby|decrby', 'lpush|rpush|lpop|rpop|llen|lrange|lindex|hset|hget|hdel|hlen|hkeys|hvals|hgetall',
  'sadd|srem|scard|spop|zadd|zrem|zcard|zrange|zscore|xadd|xlen|xread|xrange',
].join('|');
const REDIS_COMMAND = new RegExp(`^(?:${REDIS_COMMANDS})[ \\r\\n]`, 'i');
/** A simple string of its own, an error of its own, a number, the length of a string, a list or a map, none of either. */
const REDIS_ANSWER = /^(?:\+PONG\r|\+OK\r\n|-ERR |-NOAUTH|-WRONG|-NOPERM|-LOADIN|:-?\d+(?:\r|$)|[$*]-1\r\n|[$*%]\d+(?:\r|$)|_\r\n)/;

/** A command is also a word of other protocols, but none of them answers so. */
function isRedisByHand(client: Buffer, server: Buffer): boolean {
  return REDIS_COMMAND.test(client.toString('latin1', 0, 8)) && REDIS_ANSWER.test(server.toString('latin1', 0, 8));
}

/** A header, one question of one byte, its type and class. */
const DNS_LEAST_BYTES = 12 + 5;
/** Of a query: recursion, authentic data, checking disabled; no answer, no operation but a query. */
const DNS_QUERY_FLAGS = 0x0130;

/** The flags and the number of questions of a query. */
function isDnsMessage(start: Buffer, at: number): boolean {
  return start.length >= at + 6 && (start.readUInt16BE(at + 2) & ~DNS_QUERY_FLAGS) === 0 && start.readUInt16BE(at + 4) === 1;
}
