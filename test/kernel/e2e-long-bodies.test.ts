/** Bodies and messages over the limit under `trace --raw`, masked: what was sent is whole in the capture, but for its secrets. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { type FileEvent, ofSource, readEvents, runCli } from '../helpers/cli.ts';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { endChild } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';

const SECRET = `sk-ant-api03-${'Q7x'.repeat(20)}`;
const STARS = '*'.repeat(SECRET.length);

/** So many bytes of lines, a secret now and then, and one of them over this place. */
function textOf(length: number, border: number): string {
  const lines: string[] = [];
  for (let i = 0, bytes = 0; bytes < length; i++) {
    const line = ` ${i} of these lines ${i * 7919 % 10_007}${i % 5000 === 0 ? ` ${SECRET}` : ''}\n`;
    lines.push(line);
    bytes += line.length;
  }
  const text = lines.join('').slice(0, length);
  const start = border - (SECRET.length >> 1) - 1;
  return `${text.slice(0, start)} ${SECRET} ${text.slice(start + SECRET.length + 2)}`;
}

function bytesIn(data: FileEvent['data'], body: string): Buffer {
  return Buffer.from(String(data[body] ?? ''), data[`${body}_encoding`] as BufferEncoding);
}

/** What is kept of a body or message, and after it its parts. */
function assembled(kept: Buffer, parts: readonly FileEvent[]): Buffer {
  const pieces = [kept];
  let end = kept.length;
  for (const { data } of parts) {
    expect([data['offset'], bytesIn(data, 'body').length]).toEqual([end, data['bytes']]);
    pieces.push(bytesIn(data, 'body'));
    end += Number(data['bytes']);
  }
  return Buffer.concat(pieces);
}

describeKernel('long bodies under trace', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir.remove());

  async function serve(...program: readonly string[]): Promise<string> {
    const server = spawn(process.execPath, program, { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => endChild(server));
    const [line] = await once(server.stdout, 'data') as [Buffer];
    return String(line).trim();
  }

  /** All of it fits the ring, and its lines the queue of the file: collector and disk may be as slow as the machine is busy. */
  async function trace(sources: string, program: readonly string[]): Promise<FileEvent[]> {
    const file = dir.file('trace.jsonl');
    const result = await runCli(['trace', '--no-hub', '-q', '-o', file, '--raw', '--ring-size', '64M', '--source', sources, '--', process.execPath, ...program], { cwd: dir.path, deadlineMs: 250_000 });
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(result.stderr).toContain('nothing lost');
    expect(readFileSync(file).includes('sk-ant')).toBe(false);
    return readEvents(file);
  }

  it.each([['tls', 'whole'], ['plain', 'deflate']] as const)('a message of a WebSocket, %s, %s: whole both ways', { timeout: 300_000 }, async (transport, coding) => {
    execFileSync(process.execPath, [CERTIFICATE_PROGRAM, dir.path]);
    const text = textOf(LIMITS.httpBodyBytes + 600_000, LIMITS.httpBodyBytes);
    writeFileSync(dir.file('message'), text);
    const port = await serve(programPath('websocket-long.mjs'), 'serve', dir.path, transport, coding);
    const events = await trace(transport === 'tls' ? 'websocket' : 'net,websocket', [programPath('websocket-long.mjs'), 'talk', dir.path, transport, coding, port, dir.file('message')]);
    const messages = ofSource(events, 'websocket').filter(({ data }) => data['opcode'] === 'text');
    expect(messages.map(({ data }) => [data['state'], data['truncated'], data['compressed']])).toEqual(Array.from({ length: 2 }, () => ['complete', true, coding === 'deflate']));
    const expected = Buffer.from(text.replaceAll(SECRET, STARS));
    for (const { data } of messages) {
      const parts = ofSource(events, 'body').filter((part) => part.data['connection'] === data['connection'] && part.data['index'] === data['index']);
      // Compared as a whole: a difference of 9 MB is nothing to print.
      expect(assembled(bytesIn(data, 'body'), parts).equals(expected)).toBe(true);
    }
  });

  it('a call of gRPC: its messages, those that are compressed masked whole', { timeout: 300_000 }, async () => {
    const contents = [
      { text: textOf(5_000_000, 1000), isCompressed: false }, { text: textOf(300_000, 1000), isCompressed: true },
      { text: textOf(4_000_000, LIMITS.httpBodyBytes - 5_000_000), isCompressed: false }, { text: textOf(300_000, 1000), isCompressed: true },
      { text: textOf(100_000, 1000), isCompressed: false },
    ].map(({ text, isCompressed }) => ({ isCompressed, bytes: isCompressed ? gzipSync(text) : Buffer.from(text) }));
    const prefix = (isCompressed: boolean, length: number): Buffer => Buffer.from(`0${Number(isCompressed)}${length.toString(16).padStart(8, '0')}`, 'hex');
    writeFileSync(dir.file('body'), Buffer.concat(contents.flatMap(({ isCompressed, bytes }) => [prefix(isCompressed, bytes.length), bytes])));
    const expected = Buffer.concat(contents.flatMap(({ isCompressed, bytes }) => [
      prefix(isCompressed, bytes.length), isCompressed ? Buffer.alloc(bytes.length, '*') : Buffer.from(bytes.toString('latin1').replaceAll(SECRET, STARS)),
    ]));
    const port = await serve(programPath('h2c.mjs'), 'serve');
    const events = await trace('net,http', [programPath('h2c.mjs'), 'call', `http://127.0.0.1:${port}`, dir.file('body')]);
    const [call, ...others] = ofSource(events, 'http');
    expect([call?.data['state'], call?.data['method'], others.length]).toEqual(['complete', 'POST', 0]);
    const parts = ofSource(events, 'body');
    expect(parts.every(({ data }) => data['side'] === 'request' && data['exchange'] === call?.data['exchange'])).toBe(true);
    expect(assembled(bytesIn(call?.data ?? {}, 'request_body'), parts).equals(expected)).toBe(true);
  });
});
