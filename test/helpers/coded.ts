/** Coded bodies of tests: encoders, and what may be told of such a body after a loss. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import type { Random } from './random.ts';

type Encode = (data: Buffer) => Buffer;
type Derived = Readonly<Record<string, unknown>>;

/** By the name that `content-encoding` has for it. */
export const ENCODERS: Readonly<Record<string, readonly Encode[]>> = {
  gzip: [gzipSync], deflate: [deflateSync, deflateRawSync], br: [brotliCompressSync], zstd: [zstdFrame],
};
const CHOICES = Object.entries(ENCODERS).flatMap(([name, encoders]) => encoders.map((encode) => ({ name, encode })));

/** A zstd frame of raw blocks: as much of an encoder as can be written here. */
function zstdFrame(data: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38])];
  for (let at = 0; at < data.length || at === 0;) {
    const end = Math.min(data.length, at + 1000);
    const header = Buffer.alloc(3);
    header.writeUIntLE(((end - at) << 3) | Number(end === data.length), 0, 3);
    parts.push(header, data.subarray(at, end));
    at = Math.max(end, 1);
  }
  return Buffer.concat(parts);
}

export function randomlyCoded(random: Random, text: string): { readonly name: string; readonly bytes: Buffer } {
  const { name, encode } = CHOICES[random(CHOICES.length)] as (typeof CHOICES)[number];
  return { name, bytes: encode(Buffer.from(text)) };
}

/**
 * Of a coded body, whatever is missing: what is shown is how it begins, and less than the whole is never complete and
 * says why. Returns whether it is less.
 */
export function expectBeginning(one: Derived, part: 'request' | 'response', { truth, where }: { readonly truth: string; readonly where: string }): boolean {
  if (one[`${part}_body_coding`] === null) return false;
  const encoding = one[`${part}_body_encoding`] === 'base64' ? 'base64' : 'utf8';
  const shown = Buffer.from(String(one[`${part}_body`] ?? ''), encoding);
  const whole = Buffer.from(truth);
  expect(whole.subarray(0, shown.length).equals(shown), `${where}: ${part} of ${String(one['path'])}`).toBe(true);
  if (shown.length === whole.length) return false;
  expect(one, where).toMatchObject({ state: expect.stringMatching(/^(?:partial|aborted)$/), reason: expect.any(String) });
  return true;
}
