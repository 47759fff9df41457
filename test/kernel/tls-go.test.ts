import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Event } from '../../src/event.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { goCryptoTls } from '../../src/runners/locate/go.ts';
import { finish } from '../../src/runners/locate/locator.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { instructionLength } from '../../src/runners/locate/x86-length.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { buildGo, GO_BUILDS } from '../helpers/go.ts';
import { captureCommand, command, conversations, tlsEvents, type Conversation } from '../helpers/live-capture.ts';
import { expectRow } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';

const BODY = Buffer.from(Array.from({ length: 20_000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join(''));
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const EXCHANGES = 12;

let folder: TempDir;
const programs = new Map<string, string>();
beforeAll(() => {
  folder = tempDir();
  writeFileSync(folder.file('body'), BODY);
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path]);
  for (const build of GO_BUILDS) programs.set(build.name, buildGo(folder.path, 'exchange.go', build));
});
afterAll(() => folder.remove());

async function run(build: string, args: readonly string[]): Promise<{ events: readonly Event[]; output: string }> {
  const script = `"$@" > ${folder.file('output')} 2>&1`;
  const { events, runner } = await captureCommand(command('sh', ['-c', script, 'sh', programs.get(build) ?? '', ...args]));
  const output = readFileSync(folder.file('output'), 'utf8');
  expect(await runner.exit, output).toMatchObject({ exitCode: 0 });
  return { events, output };
}

function endpoints(events: readonly Event[]): { readonly local: number | null; readonly remote: number | null; readonly evidence: string }[] {
  return tlsEvents(events).flatMap(({ data }) =>
    (data.event === 'ENDPOINT' ? [{ local: data.endpoint.local.port, remote: data.endpoint.remote.port, evidence: data.evidence }] : []));
}

/** The conversations of a program that talks to itself, as pairs of what its client and its server saw. */
function pairs(events: readonly Event[]): (readonly [Conversation, Conversation])[] {
  const all = conversations(events);
  const clients = all.filter(({ written }) => isRequest(written));
  return clients.map((client) => {
    const server = all.find(({ read, written }) => isNearlyAll(read, client.written) && isNearlyAll(client.read, written));
    if (server === undefined) throw new Error('no server read what this client wrote, and wrote what it read');
    return [client, server] as const;
  });
}

/** The program ends as soon as it has its replies: a few last control frames of HTTP/2 may not have been read. */
const LAST_FRAMES_BYTES = 512;

function isNearlyAll(read: Buffer, written: Buffer): boolean {
  return read.length <= written.length && written.length - read.length < LAST_FRAMES_BYTES && read.equals(written.subarray(0, read.length));
}

function isRequest(bytes: Buffer): boolean {
  return bytes.includes('POST /') || bytes.subarray(0, PREFACE.length).toString('latin1') === PREFACE;
}

interface Instruction {
  readonly address: number;
  readonly text: string;
}

/** What objdump makes of a program's code. */
function disassemble(program: string, args: readonly string[]): Instruction[] {
  const text = execFileSync('objdump', ['-d', '-w', '--no-show-raw-insn', ...args, program], { maxBuffer: 512 * 1024 * 1024, encoding: 'utf8' });
  return Array.from(text.matchAll(/^\s+([0-9a-f]+):\t(.*)$/gm), ([, address = '', instruction = '']) => ({ address: Number.parseInt(address, 16), text: instruction }));
}

describe('the code of a Go program is read as objdump reads it', () => {
  test('each return of Read, and nothing else', () => {
    const program = programs.get('symbols') ?? '';
    const elf = readElfView(openReader(program));
    const located = elf === null ? null : finish(goCryptoTls.search(elf));
    const expected = disassemble(program, ['--disassemble=crypto/tls.(*Conn).Read']).filter(({ text }) => text.startsWith('ret'));
    expect(expected.length).toBeGreaterThan(3);
    expect(located?.kind === 'found' && located.probes.filter(({ program: name }) => name === 'go_read_return').map(({ offset }) => elf?.addressOf(offset)))
      .toEqual(expected.map(({ address }) => address));
  });

  test('the length of each instruction in a megabyte of code', () => {
    const program = programs.get('symbols') ?? '';
    const elf = readElfView(openReader(program));
    const start = elf?.section('.text')?.address ?? 0;
    const bytes = 1024 * 1024;
    const code = elf?.readAt(start, bytes) ?? Buffer.alloc(0);
    const instructions = disassemble(program, [`--start-address=${start}`, `--stop-address=${start + bytes}`]);
    expect(instructions.length).toBeGreaterThan(200_000);
    // The last one is cut by the end, and `(bad)` is data among the code.
    const wrong = instructions.slice(0, -2).filter(({ address, text }, index) => text !== '(bad)' &&
      instructionLength(code, address - start) !== (instructions[index + 1]?.address ?? 0) - address);
    expect(wrong).toEqual([]);
  });
});

describeKernel('of a Go program', () => {
  describe.each(GO_BUILDS)('built as $name', ({ name }) => {
    let server: RawTlsServer;
    beforeEach(async () => {
      server = await startRawTlsServer(BODY);
    });
    afterEach(() => server.close());

    test('200 KB each way are seen byte for byte, at the right port', async () => {
      const { events } = await run(name, ['post', `https://127.0.0.1:${server.port}/upload`, folder.file('body')]);
      expectRow('Go, with symbols, stripped, PIE', events, programs.get(name));
      expect(server.connections).toHaveLength(1);
      const [seen, ...others] = conversations(events);
      expect(others).toEqual([]);
      expect(seen?.written.equals(server.connections[0]?.received ?? Buffer.alloc(0))).toBe(true);
      expect(seen?.read.equals(server.connections[0]?.sent ?? Buffer.alloc(0))).toBe(true);
      expect(endpoints(events)).toEqual([expect.objectContaining({ remote: server.port, evidence: 'proven' })]);
      expect(tlsEvents(events).filter(({ data }) => data.event === 'CLOSE')).toHaveLength(1);
    });

    test('client and server agree over HTTP/1.1, many goroutines at once', async () => {
      const { events, output } = await run(name, ['http', folder.file('cert.pem'), folder.file('key.pem'), folder.file('body'), String(EXCHANGES)]);
      const port = Number(/port (\d+)/.exec(output)?.[1]);
      expectRow('Go: HTTP/1.1', events, programs.get(name));
      expect(output.match(/HTTP\/1\.1 200000/g)).toHaveLength(EXCHANGES);
      const seen = pairs(events);
      const paths = seen.map(([client]) => /POST (\/exchange\/\d+) /.exec(client.written.toString('latin1', 0, 100))?.[1]);
      expect(paths.sort()).toEqual(Array.from({ length: EXCHANGES }, (_, index) => `/exchange/${index}`).sort());
      expect(conversations(events)).toHaveLength(2 * EXCHANGES);
      for (const [client] of seen) expect(client.read.includes(BODY)).toBe(true);
      const places = endpoints(events);
      expect(places).toHaveLength(2 * EXCHANGES);
      expect(places.filter(({ remote }) => remote === port)).toHaveLength(EXCHANGES);
      expect(places.filter(({ local }) => local === port)).toHaveLength(EXCHANGES);
    });

    test('client and server agree over HTTP/2, many streams at once', async () => {
      const { events, output } = await run(name, ['http2', folder.file('cert.pem'), folder.file('key.pem'), folder.file('body'), String(EXCHANGES)]);
      expectRow('Go: HTTP/2', events, programs.get(name));
      expect(output.match(/HTTP\/2\.0 200000/g)).toHaveLength(EXCHANGES);
      const seen = pairs(events);
      expect(seen).toHaveLength(1);
      expect(seen[0]?.[0].written.subarray(0, PREFACE.length).toString('latin1')).toBe(PREFACE);
      expect(seen[0]?.[0].written.length).toBeGreaterThan(EXCHANGES * BODY.length);
    });

    test('a buffer on a stack that moves during the read is read where it is then', async () => {
      const { events, output } = await run(name, ['stack', folder.file('cert.pem'), folder.file('key.pem')]);
      expect(output).toBe('a question\n');
      expect(conversations(events).map(({ read, written }) => [written.toString(), read.toString()]).sort())
        .toEqual([['', 'a question'], ['a question', '']]);
    });
  });
});
