/** The ELF view against what the addon's libelf says of the same file: this very Node. */
import { afterAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { bufferReader, openReader, windowsOf } from '../../src/runners/locate/reader.ts';

const reader = openReader(process.execPath);
afterAll(() => reader.close());

describe('a file in windows', () => {
  const bytes = Buffer.from(Array.from({ length: 5_000_000 }, (_, index) => (index * 7919) >>> 8 & 255));

  test('is seen whole, each byte that is not overlap once', () => {
    const parts = [...windowsOf(bufferReader(bytes), { offset: 100, length: 4_000_000 }, 64)].map((window) => ({
      at: window.offset + window.seen, fresh: Buffer.from(window.bytes.subarray(window.seen)),
    }));
    expect(parts.length).toBeGreaterThan(3);
    expect(parts[0]?.at).toBe(100);
    expect(Buffer.concat(parts.map(({ fresh }) => fresh)).equals(bytes.subarray(100, 4_000_100))).toBe(true);
  });

  test('ends where the file ends, though more is asked for', () => {
    const lengths = [...windowsOf(bufferReader(bytes.subarray(0, 50)), { offset: 10, length: 1e9 }, 64)].map((window) => window.bytes.length);
    expect(lengths).toEqual([40]);
    expect([...windowsOf(bufferReader(bytes), { offset: 10, length: 0 }, 64)]).toEqual([]);
  });
});

describe('the view of an ELF file', () => {
  const elf = readElfView(reader);
  if (elf === null) throw new Error('Node is no ELF file?');
  const { buildId, symbols } = loadAddon().readElf(process.execPath, ['SSL_read', 'SSL_write', 'SSL_free']);

  test('has the build id', () => {
    expect(elf.buildId).toBe(buildId);
  });

  test('leads from an offset to an address and back', () => {
    for (const { offset } of symbols) {
      const address = elf.addressOf(offset);
      expect(address).not.toBeNull();
      expect(elf.offsetOf(address ?? 0)).toBe(offset);
      expect(elf.code.some((segment) => offset >= segment.offset && offset < segment.offset + segment.length)).toBe(true);
    }
    expect(elf.offsetOf(1)).toBeNull();
  });

  test('finds the function that holds an address in the unwind tables', () => {
    expect(symbols.length).toBeGreaterThanOrEqual(2);
    for (const { offset, size } of symbols) {
      const start = elf.addressOf(offset) ?? 0;
      for (const within of [0, 1, size - 1]) expect(elf.functionAt(start + within)).toEqual({ start, end: start + size });
    }
  });

  test('finds a section by name, and none that only memory has', () => {
    expect(elf.section('.text')?.length).toBeGreaterThan(1_000_000);
    expect(elf.section('.bss')).toBeNull();
    expect(elf.section('.no-such')).toBeNull();
  });
});

describe('what is no ELF file that can be read', () => {
  const head = reader.read(0, 4096);

  test.each([
    ['an empty file', Buffer.alloc(0)],
    ['a script', Buffer.from('#!/bin/sh\necho\n'.repeat(20))],
    ['a header that is cut', head.subarray(0, 40)],
  ])('%s gives no view', (_name, bytes) => {
    expect(readElfView(bufferReader(bytes))).toBeNull();
  });

  test('a header that claims more than the file has gives nothing beyond it', () => {
    const view = readElfView(bufferReader(Buffer.from(head)));
    expect(view?.segments.every((segment) => segment.offset + segment.length <= head.length)).toBe(true);
    expect(view?.section('.text')).toBeNull();
    expect(view?.functionAt(0x1000)).toBeNull();
  });

  test('no header of random bytes throws', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const bytes = Buffer.from(head);
      for (let change = 0, state = seed; change < 12; change++) {
        state = Math.imul(state, 1103515245) + 12345 >>> 0;
        bytes[6 + state % 1000] = state >>> 16 & 255;
      }
      const view = readElfView(bufferReader(bytes));
      view?.section('.text');
      view?.functionAt(0x1234);
      view?.readAt(0x400000, 1e12);
    }
  });
});
