/**
 * Both C locators against the truth: the symbols of the same code before it was
 * stripped, and those that Debian's BoringSSL exports.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { boringssl } from '../../src/runners/locate/boringssl.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { finish, type Located, type Locator } from '../../src/runners/locate/locator.ts';
import { openssl } from '../../src/runners/locate/openssl.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';

const BORINGSSL = '/usr/lib/x86_64-linux-gnu/android/libssl.so.0';

function locate(locator: Locator, path: string): Located {
  const reader = openReader(path);
  try {
    const elf = readElfView(reader);
    if (elf === null) throw new Error(`${path} is no ELF file`);
    return finish(locator.search(elf));
  } finally {
    reader.close();
  }
}

function offsets(path: string, names: readonly string[]): (number | undefined)[] {
  const { symbols } = loadAddon().readElf(path, names);
  return names.map((name) => symbols.find((symbol) => symbol.name === name)?.offset);
}

const places = (located: Located): number[] => (located.kind === 'found' ? [...new Set(located.probes.map(({ offset }) => offset))] : []);

describe('BoringSSL', () => {
  test('is found by its code just where its symbols say, SSL_peek told apart', () => {
    const truth = offsets(BORINGSSL, ['SSL_read', 'SSL_write']);
    expect(truth).not.toContain(undefined);
    const located = locate(boringssl, BORINGSSL);
    expect(located).toMatchObject({ kind: 'found', library: 'boringssl', functions: ['SSL_read', 'SSL_write'] });
    expect(places(located)).toEqual(truth);
  });

  test('is not seen in Node, which has OpenSSL', () => {
    expect(locate(boringssl, process.execPath)).toEqual({ kind: 'absent', reason: 'no SSL_write' });
  });
});

describe('OpenSSL 3 linked into a program', () => {
  let folder: TempDir;
  beforeAll(() => {
    folder = tempDir();
  });
  afterAll(() => folder.remove());

  test.each([
    ['position-independent', ['-fPIE', '-pie']],
    ['at a fixed place', ['-fno-pie', '-no-pie']],
    ['with the C library too', ['-static']],
  ])('%s and stripped, is found where the symbols were', (_name, flags) => {
    const program = folder.file(`client${flags.join('')}`);
    execFileSync('cc', ['-O2', '-w', ...flags, '-o', program, programPath('tls-client.c'), '-l:libssl.a', '-l:libcrypto.a'], { stdio: ['ignore', 'ignore', 'ignore'] });
    const truth = offsets(program, ['ssl_read_internal', 'ssl_write_internal']);
    expect(truth).not.toContain(undefined);
    const stripped = `${program}-stripped`;
    copyFileSync(program, stripped);
    execFileSync('strip', [stripped]);
    expect(offsets(stripped, ['ssl_read_internal', 'SSL_read'])).toEqual([undefined, undefined]);
    const located = locate(openssl, stripped);
    expect(located).toMatchObject({ kind: 'found', library: 'openssl', functions: ['ssl_read_internal', 'ssl_write_internal'] });
    expect(places(located)).toEqual(truth);
  });

  test('is not seen in a program without it', () => {
    expect(locate(openssl, '/bin/sh')).toEqual({ kind: 'absent', reason: 'no name of its functions' });
  });
});
