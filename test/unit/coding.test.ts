/** Content codings: the decoder against the encoders of Node, at any split, and what it does with what is no such data. */
import { constants, brotliCompressSync, createBrotliCompress, createGzip, gzipSync } from 'node:zlib';
import { from } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { CODING_COUNTERS, type CodingLimits, type Decoder, createDecoder } from '../../analyzers/coding/decoder.ts';
import { replayGate } from '../../analyzers/replay-gate.ts';
import { createHttpCounters, http } from '../../analyzers/http.ts';
import type { Event } from '../../src/event.ts';
import { LIMITS } from '../../src/limits.ts';
import { Counters } from '../../src/stats.ts';
import { analyze, chunk, chunksOf, flat, isDerived, readCases } from '../cases.ts';
import { ENCODERS } from '../helpers/coded.ts';
import { generator } from '../helpers/random.ts';

function environment(limits: Partial<CodingLimits> = {}) {
  return { limits: { ...LIMITS, ...limits }, counters: new Counters(CODING_COUNTERS), decoders: { limit: LIMITS.codingBytesTotal, used: 0 } };
}

/** Everything that comes out of the input, in pieces of the given sizes. */
function decode(decoder: Decoder, input: Buffer, size: (left: number) => number): Buffer {
  const output: Buffer[] = [];
  for (let at = 0; at < input.length;) {
    const end = Math.min(input.length, at + Math.max(1, size(input.length - at)));
    decoder.push(input.subarray(at, end), (bytes) => output.push(Buffer.from(bytes)) > 0);
    at = end;
  }
  decoder.end();
  return Buffer.concat(output);
}

function sample(random: (below: number) => number): Buffer {
  const words = ['{"delta":"', 'text ', 'café', '\n\n', 'data: ', '0'.repeat(300)];
  return Buffer.concat(Array.from({ length: random(400) }, () =>
    (random(10) === 0 ? Buffer.from(Array.from({ length: random(50) }, () => random(256))) : Buffer.from(words[random(words.length)] ?? ''))));
}

describe('a decoder', () => {
  it('gives what was encoded, at any split', () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = generator(seed);
      const data = sample(random);
      for (const [name, encoders] of Object.entries(ENCODERS)) {
        for (const encode of encoders) {
          const coded = encode(data);
          for (const size of [(left: number) => left, () => 1 + random(40), () => 1 + random(5000)]) {
            const shared = environment();
            const decoder = createDecoder(shared, [name]);
            expect(decode(decoder, coded, size).equals(data), `${name}, seed ${seed}`).toBe(true);
            expect(decoder.fault).toBe(null);
            expect(shared.decoders.used).toBe(0);
          }
        }
      }
    }
  });

  it('gives all that was flushed so far', async () => {
    for (const [name, stream, flush] of [
      ['gzip', createGzip(), constants.Z_SYNC_FLUSH], ['br', createBrotliCompress(), constants.BROTLI_OPERATION_FLUSH],
    ] as const) {
      const decoder = createDecoder(environment(), [name]);
      let output = '';
      stream.on('data', (bytes: Buffer) => decoder.push(bytes, (decoded) => (output += decoded.toString()) !== ''));
      for (let i = 0; i < 50; i++) {
        stream.write(`data: ${i}\n\n`);
        await new Promise<void>((resolve) => stream.flush(flush, resolve));
        expect(output.endsWith(`data: ${i}\n\n`), `${name} ${i}`).toBe(true);
      }
      decoder.close();
    }
  });

  it('says what is wrong with damaged and random data, and never throws', () => {
    for (let seed = 0; seed < 150; seed++) {
      const random = generator(seed);
      for (const [name, [encode]] of Object.entries(ENCODERS)) {
        const coded = Buffer.from((encode as (data: Buffer) => Buffer)(sample(random)));
        for (let i = 0; i < 3; i++) coded[random(coded.length)] = random(256);
        const noise = Buffer.from(Array.from({ length: random(200) }, () => random(256)));
        for (const input of [coded, coded.subarray(0, random(coded.length)), noise]) {
          const shared = environment();
          const decoder = createDecoder(shared, [name]);
          decode(decoder, input, () => 1 + random(300));
          expect(decoder.fault === null || /^coding: (gzip|deflate|br|zstd) (data is damaged|data ends early|data goes on after its end|needs|asks)/.test(decoder.fault), `${decoder.fault}`).toBe(true);
          expect(shared.decoders.used).toBe(0);
        }
      }
    }
  });

  it('stops at a bomb, in one coding and in two, with little more than the limit come out', () => {
    const zeros = Buffer.alloc(64 * 1024 * 1024);
    const once = gzipSync(zeros);
    const limits = { codingOutputBytes: 1024 * 1024, codingRatio: 20 };
    for (const [names, bomb] of [[['gzip'], once], [['gzip', 'gzip'], gzipSync(once)], [['br'], brotliCompressSync(zeros)]] as const) {
      const shared = environment(limits);
      const decoder = createDecoder(shared, names);
      expect(decode(decoder, bomb, () => 1000).length).toBeLessThanOrEqual(limits.codingOutputBytes);
      expect(decoder.fault).toMatch(/^coding: its data is out of all proportion/);
      expect(shared.counters.get('coding_bombs')).toBe(1);
    }
  });

  it('tells a bomb also where a body is cut before all of it came out', () => {
    const zeros = gzipSync(Buffer.alloc(32 * 1024 * 1024));
    for (const [names, bomb] of [['gzip', zeros], ['gzip, gzip', gzipSync(zeros)]] as const) {
      const counters = createHttpCounters();
      const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Encoding: ${names}\r\nContent-Length: ${bomb.length}\r\n\r\n`);
      const ask = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const { derived } = analyze([chunk({ direction: 'write', bytes: ask, position: 0 }), chunk({ direction: 'read', bytes: Buffer.concat([head, bomb]), position: 0 })], { counters });
      expect(derived).toMatchObject([{ state: 'partial', reason: 'coding: its data is out of all proportion to what was sent' }]);
      expect(counters.snapshot()).toMatchObject({ coding_bombs: 1 });
    }
  });

  it('is refused when the others use all the memory', () => {
    const shared = { ...environment(), decoders: { limit: 100 * 1024, used: 0 } };
    const half = gzipSync(Buffer.from('text')).subarray(0, 12);
    const decoders = [1, 2].map(() => createDecoder(shared, ['gzip']));
    for (const decoder of decoders) decoder.push(half, () => true);
    expect(decoders.map(({ fault }) => fault)).toEqual([null, 'coding: too many bodies are being decoded']);
    for (const decoder of decoders) decoder.close();
    expect(shared.decoders.used).toBe(0);
    expect(shared.counters.get('coding_memory_full')).toBe(1);
  });
});

describe('a masked capture of coded bodies', () => {
  const locateSecrets = (_part: string, bytes: Buffer) =>
    [...bytes.toString('latin1').matchAll(/secret-[a-z]+/g)].map(({ index, 0: text }) => ({ start: index, end: index + text.length }));

  it.each(readCases('coding').map((one) => [one.name, one] as const))('%s: leaves them out, and replays as what was recorded', (_name, one) => {
    for (const cuts of [() => [], (_block: number, length: number) => (length > 40 ? [17, 40] : [])]) {
      const options = { ...one.options, locateSecrets };
      const live = analyze(chunksOf(one.blocks, cuts), options);
      const raw = analyze(chunksOf(one.blocks, cuts), { ...options, raw: true });
      expect(raw.derived).toEqual(live.derived);
      expect(JSON.stringify(live.derived)).not.toMatch(/secret-[a-z]/);
      const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
      for (const block of one.blocks) {
        const end = block.bytes.indexOf('\r\n\r\n');
        const body = block.bytes.subarray(end + 4, end + 24);
        if (/content-encoding|grpc-web-text/i.test(block.bytes.toString('latin1')) && body.length > 3) expect(written.includes(body)).toBe(false);
      }
      const replayed: Event[] = [];
      from(raw.order).pipe(replayGate(new Set()), http({ nextId: () => 'x', recorded: new Set(['c1']), ...options }))
        .subscribe((event) => replayed.push(event));
      expect(replayed.filter(isDerived).map(flat)).toEqual(live.derived);
    }
  });
});
