/** The locator of ring's ciphers, on tables of its form, and what it is made of. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { finish, type Located } from '../../src/runners/locate/locator.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { operandsInto } from '../../src/runners/locate/relative-operands.ts';
import { ring } from '../../src/runners/locate/ring.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';

/** Two tables of AES and one of ChaCha20, and tables of other things that look alike: methods of objects of 16 and 32 bytes. */
const SOURCE = `
typedef void (*function)(void);
#define FUNCTION(name) __attribute__((noinline, used)) void name(void) { __asm__ volatile("# " #name); }
FUNCTION(init_128) FUNCTION(init_256) FUNCTION(aes_seal) FUNCTION(aes_open) FUNCTION(chacha_init) FUNCTION(chacha_seal) FUNCTION(chacha_open)
FUNCTION(other)
#if OLD
#define TABLE(name, a, b, c, bytes, longest, number) \\
	const struct { function functions[3]; unsigned long key, input; unsigned char cipher; } name = { { a, b, c }, bytes, longest, number };
#else
#define TABLE(name, a, b, c, bytes, longest, number) \\
	const struct { function functions[3]; unsigned long key; unsigned char cipher; } name = { { a, b, c }, bytes, number };
#endif
TABLE(aes_128, init_128, aes_seal, aes_open, 16, 0xfffffffe0, 0)
TABLE(methods_1, other, aes_seal, other, 16, 8, 0)
TABLE(chacha, chacha_init, chacha_seal, chacha_open, 32, 0x3fffffffc0, 2)
TABLE(methods_2, other, other, aes_open, 32, 8, 1)
TABLE(aes_256, init_256, aes_seal, aes_open, 32, 0xfffffffe0, 1)
#if TWICE
TABLE(again_128, init_128, other, aes_open, 16, 0xfffffffe0, 0)
TABLE(again_256, init_128, other, aes_open, 32, 0xfffffffe0, 1)
#endif
const void *volatile kept[] = { &aes_128, &chacha, &aes_256, &methods_1, &methods_2 };
int main(void) { return kept[0] == kept[1]; }
`;

describe('the ciphers of ring', () => {
  let folder: TempDir;
  beforeAll(() => {
    folder = tempDir();
    writeFileSync(folder.file('tables.c'), SOURCE);
  });
  afterAll(() => folder.remove());

  function locate(flags: readonly string[]): { located: Located; offsets: readonly (number | undefined)[] } {
    const path = folder.file('tables');
    execFileSync('cc', ['-O2', '-o', path, folder.file('tables.c'), ...flags]);
    const names = ['aes_open', 'aes_seal', 'chacha_open', 'chacha_seal'];
    const { symbols } = loadAddon().readElf(path, names);
    execFileSync('strip', [path]);
    const reader = openReader(path);
    try {
      const elf = readElfView(reader);
      if (elf === null) throw new Error('the compiler makes no ELF files');
      return { located: finish(ring.search(elf)), offsets: names.map((name) => symbols.find((symbol) => symbol.name === name)?.offset) };
    } finally {
      reader.close();
    }
  }

  test.each([
    ['whose addresses the loader fills in', ['-pie', '-fPIE']],
    ['whose addresses stand in the file and are moved', ['-pie', '-fPIE', '-Wl,-z,pack-relative-relocs']],
    ['at a fixed place', ['-no-pie', '-fno-pie']],
  ])('are found in tables %s, old and new', (_where, flags) => {
    for (const [old, enter] of [['1', 'ring_open_old_enter'], ['0', 'ring_open_enter']] as const) {
      const { located, offsets: [aesOpen, aesSeal, chachaOpen, chachaSeal] } = locate([...flags, `-DOLD=${old}`]);
      expect(located).toEqual({
        kind: 'found',
        library: 'rustls',
        method: 'locator',
        functions: ['aes_gcm_open', 'aes_gcm_seal', 'chacha20_poly1305_open', 'chacha20_poly1305_seal'],
        probes: [
          { program: 'ring_open_exit', offset: aesOpen }, { program: enter, offset: aesOpen }, { program: 'ring_seal_enter', offset: aesSeal },
          { program: 'ring_open_exit', offset: chachaOpen }, { program: enter, offset: chachaOpen }, { program: 'ring_seal_enter', offset: chachaSeal },
        ],
      });
    }
  });

  test('are not hooked where they may be in two places', () => {
    expect(locate(['-DTWICE=1', '-DOLD=1']).located).toEqual({ kind: 'unsupported', library: 'rustls', reason: 'ring is there, but AES may be in 2 places' });
  });
});

describe('operands that lead into a range', () => {
  const CODE_BYTES = 200_000;

  function byEveryByte(code: Buffer, address: number, low: number, high: number): number[] {
    const found: number[] = [];
    for (let at = 0; at + 4 <= code.length; at++) {
      const target = address + at + 4 + code.readInt32LE(at);
      if (target >= low && target <= high) found.push(at);
    }
    return found;
  }

  test.each([
    ['near, behind and before', 0x40_0000, 0x41_0000, 0x43_0000],
    ['far above', 0x40_0000, 0x4000_0000, 0x4200_0000],
    ['far below', 0x6000_0000, 0x1000, 0x80_0000],
    ['as far as 32 bits reach', 0x40_0000, 0x7fff_0000, 0x8fff_ffff],
    ['out of reach', 0x40_0000, 0x1_0000_0000, 0x1_1000_0000],
  ])('%s', (_where, address, low, high) => {
    const code = randomBytes(CODE_BYTES);
    // At the seams of blocks and at both ends, which chance would hardly meet.
    for (const at of [0, 0xfffc, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1fffe, CODE_BYTES - 4]) {
      const distance = low + 5 - (address + at + 4);
      if (distance <= 0x7fff_ffff) code.writeInt32LE(distance, at);
      expect(operandsInto(code, address, [{ low, high }]).map((operand) => operand.at)).toEqual(byEveryByte(code, address, low, high));
    }
  });
});
