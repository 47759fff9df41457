/** What the stdio program reports of known reads and writes, straight from the ring. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { COUNTER, COUNTER_SOURCE, RECORD_FLAG, RECORD_KIND } from '../../src/decode/layout.ts';
import { countedOf } from '../../src/runners/loss.ts';
import { startCapture, stdioOf, type RawRecord, type TestCapture } from '../helpers/capture.ts';
import { describeKernel } from '../helpers/privilege.ts';

const STDIO = RECORD_KIND.RECORD_STDIO_DATA;
const KIB = 1024;
const PART_BYTES = 32 * KIB;
const PYTHON = ['/usr/bin/python3', '-S', '-c'];

/** The parts of calls, put together in the order of their operations. */
function joined(records: readonly RawRecord[]): Buffer {
  return Buffer.concat(calls(records).map((parts) => {
    const views = parts.map((record) => stdioOf(record));
    const whole = Buffer.alloc(views[0]?.total ?? 0, '?');
    for (const part of views) part.payload.copy(whole, part.offset);
    return whole;
  }));
}

function calls(records: readonly RawRecord[]): RawRecord[][] {
  const byOperation = new Map<bigint, RawRecord[]>();
  for (const record of records) {
    const { operation } = stdioOf(record);
    byOperation.set(operation, [...(byOperation.get(operation) ?? []), record]);
  }
  return [...byOperation.values()];
}

describeKernel('stdio program', () => {
  let traced: TestCapture;
  let open: TestCapture[];
  beforeEach(() => { open = []; traced = start(); });
  afterEach(() => { for (const one of open) one.capture.close(); });

  function start(options: Parameters<typeof startCapture>[0] = {}): TestCapture {
    const started = startCapture(options);
    open.push(started);
    return started;
  }
  const moved = (capture: TestCapture, fd: number, isWrite: boolean): RawRecord[] =>
    capture.of(STDIO).filter((record) => stdioOf(record).fd === fd && stdioOf(record).isWrite === isWrite);
  const counter = (capture: TestCapture, name: keyof typeof COUNTER): number =>
    countedOf(capture.capture.kernelCounters(), COUNTER_SOURCE.COUNT_STDIO, COUNTER[name]);

  it('carries a write of 1 MiB whole and byte for byte', async () => {
    // To a file: a pipe would take it in pieces.
    const program = 'import hashlib,os; data=b"".join(hashlib.md5(b"%d" % i).digest() for i in range(65536))\n'
      + 'assert os.write(1, data) == 1 << 20; os.write(2, hashlib.sha256(data).hexdigest().encode())';
    await traced.run(['sh', '-c', 'exec "$@" > /dev/null 2>/dev/null', 'sh', ...PYTHON, program]);
    const parts = moved(traced, 1, true);
    expect(parts.map((record) => stdioOf(record).offset)).toEqual(Array.from({ length: 32 }, (_, index) => index * PART_BYTES));
    expect(calls(parts)).toHaveLength(1);
    const digest = createHash('sha256').update(joined(parts)).digest('hex');
    expect(joined(moved(traced, 2, true)).toString()).toBe(digest);
  });

  it('carries any number of bytes exactly, in both directions', async () => {
    const sizes = [...Array.from({ length: 70 }, (_, index) => index + 1), 127, 128, 129, 255, 256, 257, 4095, 4096, 4097,
      32_767, 32_768, 32_769, 65_535, 65_536];
    const payload = randomBytes(sizes.reduce((sum, size) => sum + size, 0));
    const program = [
      'import os',
      `for size in ${JSON.stringify(sizes)}:`,
      '    data = b""',
      '    while len(data) < size: data += os.read(0, size - len(data))',
      '    while data: data = data[os.write(1, data):]',
    ].join('\n');
    const { stdout } = await traced.run([...PYTHON, program], { input: payload });
    expect(stdout.equals(payload)).toBe(true);
    expect(joined(moved(traced, 0, false)).equals(payload)).toBe(true);
    expect(joined(moved(traced, 1, true)).equals(payload)).toBe(true);
  });

  it('takes readv and writev as one call over all their buffers', async () => {
    const program = [
      'import os',
      'buffers = [bytearray(3), bytearray(0), bytearray(40000), bytearray(70000)]',
      'read = os.readv(0, buffers)',
      'os.writev(1, [b"head", b"", bytes(read) , b"tail" * 20000])',
    ].join('\n');
    const { stdout } = await traced.run(['sh', '-c', 'exec "$@" < /usr/bin/bash', 'sh', ...PYTHON, program]);
    const reads = moved(traced, 0, false);
    expect(calls(reads)).toHaveLength(1);
    expect(stdioOf(reads[0] as RawRecord).total).toBe(110_003);
    expect(joined(reads).equals(readFileSync('/usr/bin/bash').subarray(0, 110_003))).toBe(true);
    expect(joined(moved(traced, 1, true)).equals(stdout)).toBe(true);
  });

  it('says what the descriptor points to', async () => {
    await traced.run(['sh', '-c', 'echo to-null > /dev/null; read line < /etc/passwd; echo "$line"']);
    const toNull = moved(traced, 1, true).map((record) => stdioOf(record)).find(({ payload }) => payload.toString() === 'to-null\n');
    const nullDevice = statSync('/dev/null', { bigint: true });
    expect(toNull).toMatchObject({ inode: nullDevice.ino, device: nullDevice.rdev });
    const passwd = statSync('/etc/passwd', { bigint: true });
    expect(stdioOf(moved(traced, 0, false)[0] as RawRecord)).toMatchObject({ inode: passwd.ino, device: passwd.dev });
  });

  it('sees descriptors above 2 when told to, failed calls never', async () => {
    const program = [...PYTHON, [
      'import os',
      'os.dup2(os.open("/dev/null", 1), 7); os.write(7, b"seven"); os.write(1, b"one"); os.close(1)',
      'try: os.write(1, b"closed")',
      'except OSError: pass',
    ].join('\n')];
    const all = start({ allFds: true });
    await traced.run(program);
    await all.run(program);
    expect(moved(traced, 7, true)).toEqual([]);
    expect(joined(moved(all, 7, true)).toString()).toBe('seven');
    expect(joined(moved(all, 1, true)).toString()).toBe('one');
  });

  it('cuts a call at the cap, marks it and counts what is missing', async () => {
    const capped = start({ stdioBytesPerCall: 40_000 });
    await capped.run([...PYTHON, 'import os; os.dup2(os.open("/dev/null", 1), 1); os.write(1, b"y" * 100000)']);
    const parts = moved(capped, 1, true);
    expect(parts.map((record) => [stdioOf(record).total, stdioOf(record).offset, stdioOf(record).payload.length, record.flags])).toEqual([
      [100_000, 0, 32_768, RECORD_FLAG.RECORD_TRUNCATED], [100_000, 32_768, 7232, RECORD_FLAG.RECORD_TRUNCATED],
    ]);
    expect(counter(capped, 'COUNT_TRUNCATED_BYTES')).toBe(60_000);
  });

  it('marks memory that cannot be read and leaves zeros for it', async () => {
    // A file mapped and never touched: /dev/null takes the bytes without looking.
    const program = [
      'import ctypes, os, mmap',
      'f = os.open("/usr/bin/bash", 0); n = os.open("/dev/null", 1); os.dup2(n, 1)',
      'libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p',
      'at = libc.mmap(None, 4096, 0, 0x22, -1, 0)',
      'libc.write(1, ctypes.c_void_p(at), 100)',
    ].join('\n');
    await traced.run(['/usr/bin/python3', '-c', program]);
    const [record] = moved(traced, 1, true);
    expect(record?.flags).toBe(RECORD_FLAG.RECORD_READ_FAULT);
    expect(record && stdioOf(record).payload.equals(Buffer.alloc(100))).toBe(true);
    expect(counter(traced, 'COUNT_READ_FAULT')).toBe(1);
  });

  it('counts each record that a full ring refuses, and keeps room for processes', async () => {
    const small = start({ ringBytes: 64 * KIB, queuedBytes: 1 });
    const count = 200_000;
    const { pid } = await small.run(['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1000', `count=${count}`, 'status=none']);
    const delivered = small.of(STDIO).length;
    expect(counter(small, 'COUNT_DELIVERED')).toBe(delivered);
    const refused = counter(small, 'COUNT_RING_FULL');
    expect(refused).toBeGreaterThan(0);
    expect(counter(small, 'COUNT_RING_FULL_BYTES')).toBe(refused * 1000);
    // A read and a write for each block, neither more nor less, but for the loader's own reads.
    expect(delivered + refused).toBe(counter(small, 'COUNT_CALLS'));
    expect(delivered + refused).toBeGreaterThanOrEqual(2 * count);
    expect(small.of(RECORD_KIND.RECORD_PROCESS_EXIT, pid)).toHaveLength(1);
    expect(countedOf(small.capture.kernelCounters(), COUNTER_SOURCE.COUNT_PROCESS, COUNTER.COUNT_RING_FULL)).toBe(0);
  });

  it('numbers the records of each cpu without a gap when none was lost', async () => {
    await traced.run(['sh', '-c', 'i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done']);
    const byCpu = new Map<bigint, bigint[]>();
    for (const { sequence } of traced.records) {
      byCpu.set(sequence >> 48n, [...(byCpu.get(sequence >> 48n) ?? []), sequence & 0xffff_ffff_ffffn]);
    }
    for (const numbers of byCpu.values()) {
      expect(numbers).toEqual(Array.from(numbers, (_, index) => BigInt(index)));
    }
    expect(moved(traced, 1, true)).toHaveLength(2000);
  });
});
