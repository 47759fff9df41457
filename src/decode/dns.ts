/**
 * One DNS message (RFC 1035 §4): its first question and its answers. Hostile
 * input ends in null or in fewer answers, never in a loop: a compressed name
 * may only point backwards, and has 255 bytes.
 */
import { LIMITS } from '../limits.ts';
import { ipv4Text, ipv6Text } from './endpoint.ts';

export interface DnsAnswer {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly ttl_s: number;
}

export interface DnsMessage {
  readonly kind: 'query' | 'answer';
  readonly name: string;
  readonly type: string;
  /** null of a query. */
  readonly code: string | null;
  readonly answers: readonly DnsAnswer[];
  /** The message said there are more answers than could be read, or than are told. */
  readonly truncated: boolean;
}

const HEADER_BYTES = 12;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const CLASS_IN = 1;

const TYPES: Readonly<Record<number, string>> = {
  1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 13: 'HINFO', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 35: 'NAPTR', 39: 'DNAME',
  41: 'OPT', 43: 'DS', 46: 'RRSIG', 47: 'NSEC', 48: 'DNSKEY', 52: 'TLSA', 64: 'SVCB', 65: 'HTTPS', 252: 'AXFR', 255: 'ANY', 257: 'CAA',
};
const CODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE'];

/** null when it is no DNS message with a question. */
export function parseDns(bytes: Buffer): DnsMessage | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(4) === 0) return null;
  const flags = bytes.readUInt16BE(2);
  const question = readName(bytes, HEADER_BYTES);
  if (question === null || question.end + 4 > bytes.length) return null;
  const kind = (flags & 0x8000) === 0 ? 'query' : 'answer';
  const code = flags & 0x000f;
  const counted = kind === 'query' ? 0 : bytes.readUInt16BE(6);
  const answers = readAnswers(bytes, afterQuestions(bytes), counted);
  return {
    kind, name: question.name, type: typeName(bytes.readUInt16BE(question.end)),
    code: kind === 'query' ? null : CODES[code] ?? `RCODE${code}`,
    answers, truncated: (flags & 0x0200) !== 0 || answers.length < counted,
  };
}

/** Where the answers start, or the end when a question cannot be read. */
function afterQuestions(bytes: Buffer): number {
  let at = HEADER_BYTES;
  for (let left = bytes.readUInt16BE(4); left > 0; left--) {
    const name = readName(bytes, at);
    if (name === null) return bytes.length;
    at = name.end + 4;
  }
  return at;
}

function readAnswers(bytes: Buffer, start: number, counted: number): DnsAnswer[] {
  const answers: DnsAnswer[] = [];
  let at = start;
  while (answers.length < Math.min(counted, LIMITS.dnsAnswers)) {
    const owner = readName(bytes, at);
    if (owner === null || owner.end + 10 > bytes.length) break;
    const data = owner.end + 10;
    const length = bytes.readUInt16BE(owner.end + 8);
    if (data + length > bytes.length) break;
    const type = bytes.readUInt16BE(owner.end);
    const isInternet = bytes.readUInt16BE(owner.end + 2) === CLASS_IN;
    const value = isInternet ? valueOf(bytes, type, data, length) : null;
    answers.push({
      name: owner.name, type: typeName(type), value: value ?? opaque(bytes, data, length), ttl_s: bytes.readUInt32BE(owner.end + 4),
    });
    at = data + length;
  }
  return answers;
}

/** The value as `dig` shows it; null of a type that we do not read, or of a value that is not what its type says. */
function valueOf(bytes: Buffer, type: number, at: number, length: number): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (TYPES[type]) {
    case 'A': return length === 4 ? ipv4Text(view, at) : null;
    case 'AAAA': return length === 16 ? ipv6Text(view, at) : null;
    case 'CNAME': case 'NS': case 'PTR': case 'DNAME': return readName(bytes, at)?.name ?? null;
    case 'MX': return length > 2 ? joined([bytes.readUInt16BE(at)], readName(bytes, at + 2)) : null;
    case 'SRV':
      return length > 6 ? joined([bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2), bytes.readUInt16BE(at + 4)], readName(bytes, at + 6)) : null;
    case 'TXT': return textsOf(bytes, at, at + length);
    default: return null;
  }
}

function joined(numbers: readonly number[], name: Name | null): string | null {
  return name === null ? null : [...numbers, name.name].join(' ');
}

function textsOf(bytes: Buffer, start: number, end: number): string | null {
  const texts: string[] = [];
  for (let at = start; at < end;) {
    const length = bytes.readUInt8(at);
    if (at + 1 + length > end) return null;
    texts.push(bytes.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return texts.join('');
}

/** The form of RFC 3597 §5 for what nobody knows. */
function opaque(bytes: Buffer, at: number, length: number): string {
  return `\\# ${length} ${bytes.toString('hex', at, at + length)}`;
}

function typeName(type: number): string {
  return TYPES[type] ?? `TYPE${type}`;
}

interface Name {
  /** Without the dot at the end; `.` is the root. */
  readonly name: string;
  /** Where what follows the name starts. */
  readonly end: number;
}

/** Each pointer must lead before the label that it stands for: no loop is possible. */
function readName(bytes: Buffer, start: number): Name | null {
  const labels: string[] = [];
  let at = start;
  let end = -1;
  let limit = start;
  let total = 0;
  for (;;) {
    if (at >= bytes.length) return null;
    const length = bytes.readUInt8(at);
    if (length === 0) return { name: labels.length === 0 ? '.' : labels.join('.'), end: end === -1 ? at + 1 : end };
    if (length >= 0xc0) {
      if (at + 2 > bytes.length) return null;
      const target = bytes.readUInt16BE(at) & 0x3fff;
      if (end === -1) end = at + 2;
      if (target >= limit) return null;
      limit = target;
      at = target;
      continue;
    }
    total += length + 1;
    if (length > MAX_LABEL_BYTES || total > MAX_NAME_BYTES || at + 1 + length > bytes.length) return null;
    labels.push(labelText(bytes, at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** Dots and unprintable bytes within a label as RFC 1035 §5.1 writes them: they cannot be taken for structure. */
function labelText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', start, end).replaceAll(/[^!-~]|[.\\]/g, (char) => {
    return char === '.' || char === '\\' ? `\\${char}` : `\\${String(char.charCodeAt(0)).padStart(3, '0')}`;
  });
}
