/** Where names of connections come from: DNS messages, and greetings of TLS that Node itself sends. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { createAddressNames } from '../../src/decode/address-names.ts';
import { parseClientHello } from '../../src/decode/client-hello.ts';
import { parseDns } from '../../src/decode/dns.ts';
import { LIMITS } from '../../src/limits.ts';

const u16 = (...values: readonly number[]): Buffer => Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]));
const nameOf = (text: string): Buffer => Buffer.concat([...text.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from([0])]);
/** A name that is written somewhere before. */
const pointer = (at: number): Buffer => u16(0xc000 | at);

interface Message {
  readonly flags: number;
  readonly type: number;
  readonly answers?: readonly Buffer[];
  readonly counted?: number;
}

const QUESTION_AT = 12;
function dns(name: string, { flags, type, answers = [], counted = answers.length }: Message): Buffer {
  return Buffer.concat([u16(0x1234, flags, 1, counted, 0, 0), nameOf(name), u16(type, 1), ...answers]);
}

function answer(owner: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  return Buffer.concat([owner, u16(type, 1, 0, ttl, data.length), data]);
}

const [A, CNAME, AAAA] = [1, 5, 28];
const [QUERY, RESPONSE, NXDOMAIN] = [0x0100, 0x8180, 0x8183];

describe('a DNS message', () => {
  it('that asks has a name and a type, and no code', () => {
    expect(parseDns(dns('api.example.com', { flags: QUERY, type: AAAA }))).toEqual({
      kind: 'query', name: 'api.example.com', type: 'AAAA', code: null, answers: [], truncated: false,
    });
  });

  it('that answers has addresses, behind another name too, and names that are pointers', () => {
    const alias = nameOf('edge.example.net');
    const question = dns('api.example.com', { flags: RESPONSE, type: A });
    const first = answer(pointer(QUESTION_AT), CNAME, 60, alias);
    const aliasAt = question.length + first.length - alias.length;
    const answers = [first, answer(pointer(aliasAt), A, 30, Buffer.from([192, 0, 2, 7])), answer(pointer(aliasAt), AAAA, 31, Buffer.from('20010db8000000000000000000000001', 'hex'))];
    expect(parseDns(dns('api.example.com', { flags: RESPONSE, type: A, answers }))).toEqual({
      kind: 'answer', name: 'api.example.com', type: 'A', code: 'NOERROR', truncated: false,
      answers: [
        { name: 'api.example.com', type: 'CNAME', value: 'edge.example.net', ttl_s: 60 },
        { name: 'edge.example.net', type: 'A', value: '192.0.2.7', ttl_s: 30 },
        { name: 'edge.example.net', type: 'AAAA', value: '2001:db8::1', ttl_s: 31 },
      ],
    });
  });

  it('says what went wrong, and that it has fewer answers than it counts', () => {
    expect(parseDns(dns('no.example', { flags: NXDOMAIN, type: A }))).toMatchObject({ code: 'NXDOMAIN', answers: [], truncated: false });
    const one = answer(pointer(QUESTION_AT), A, 1, Buffer.from([127, 0, 0, 1]));
    expect(parseDns(dns('a.example', { flags: RESPONSE, type: A, answers: [one], counted: 2 }))).toMatchObject({ answers: [{ value: '127.0.0.1' }], truncated: true });
    const many = Array.from({ length: LIMITS.dnsAnswers + 1 }, () => one);
    const told = parseDns(dns('a.example', { flags: RESPONSE, type: A, answers: many }));
    expect([told?.answers.length, told?.truncated]).toEqual([LIMITS.dnsAnswers, true]);
  });

  it('whose name points at itself, or that is cut, is none', () => {
    const loop = Buffer.concat([u16(1, QUERY, 1, 0, 0, 0), pointer(QUESTION_AT), u16(A, 1)]);
    expect(parseDns(loop)).toBeNull();
    const whole = dns('api.example.com', { flags: QUERY, type: A });
    for (let length = 0; length < whole.length; length++) expect(parseDns(whole.subarray(0, length)), String(length)).toBeNull();
  });
});

describe('names of addresses', () => {
  it('are those of the newest answer, and of a greeting where there was none', () => {
    const names = createAddressNames();
    expect(names.nameOf('192.0.2.7')).toBeNull();
    names.greeted('192.0.2.7', 'greeted.example');
    expect(names.nameOf('192.0.2.7')).toBe('greeted.example');
    names.answered('192.0.2.7', 'first.example');
    names.answered('192.0.2.7', 'second.example');
    names.greeted('192.0.2.7', 'late.example');
    expect(names.nameOf('192.0.2.7')).toBe('second.example');
  });

  it('are as many as the limit says: the oldest goes', () => {
    let forgotten = 0;
    const names = createAddressNames(2, () => forgotten++);
    for (const [address, name] of [['a', '1'], ['b', '2'], ['a', '3'], ['c', '4']] as const) names.answered(address, name);
    expect(['a', 'b', 'c'].map(names.nameOf)).toEqual(['3', null, '4']);
    expect(forgotten).toBe(1);
  });
});

/** What Node sends first. */
async function greeting(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ...options });
  client.on('error', () => undefined);
  try {
    const [socket] = await once(server, 'connection');
    let bytes = Buffer.alloc(0);
    for await (const part of socket) {
      bytes = Buffer.concat([bytes, part as Buffer]);
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) break;
    }
    return bytes;
  } finally {
    client.destroy();
    server.close();
  }
}

describe("a greeting of Node's TLS", () => {
  it('says who is asked for, what is offered and the highest version', async () => {
    const bytes = await greeting({ servername: 'api.example.com', ALPNProtocols: ['h2', 'http/1.1'] });
    expect(parseClientHello(bytes)).toEqual({ serverName: 'api.example.com', alpn: ['h2', 'http/1.1'], version: '1.3' });
    expect(parseClientHello(await greeting({ maxVersion: 'TLSv1.2' }))).toEqual({ serverName: null, alpn: [], version: '1.2' });
  });

  it('of which a part is missing claims nothing, and something else is none', async () => {
    const bytes = await greeting({ servername: 'api.example.com', ALPNProtocols: ['h2'] });
    const cut = Array.from({ length: bytes.length }, (_, length) => parseClientHello(bytes.subarray(0, length)));
    expect(cut.filter((hello) => hello !== null && (hello.serverName !== null || hello.version !== null || hello.alpn.length > 0))).toEqual([]);
    expect(cut.at(-1)).toEqual({ serverName: null, alpn: [], version: null });
    expect(parseClientHello(Buffer.concat([Buffer.from([0x17]), bytes.subarray(1)]))).toBeNull();
  });
});
