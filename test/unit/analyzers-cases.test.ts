import { describe, expect, it } from 'vitest';
import type { Range } from '../../analyzers/http.ts';
import { type Case, analyze, chunksOf, readCases } from '../cases.ts';

const whole = () => [];
const byteByByte = (_block: number, length: number) => Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);

/** Finds `secret-…` anywhere: enough to see where masks land. */
function locateSecrets(_part: string, bytes: Buffer): readonly Range[] {
  return [...bytes.toString('latin1').matchAll(/secret-[a-z]+/g)]
    .map(({ index, 0: text }) => ({ start: index, end: index + text.length }));
}

/** Every way to cut one block in two. */
function* everySplit({ blocks }: Case): Generator<(block: number) => readonly number[]> {
  for (const [index, { bytes }] of blocks.entries()) {
    for (let at = 1; at < bytes.length; at++) yield (block) => (block === index ? [at] : []);
  }
}

for (const folder of ['http', 'http2', 'sse', 'websocket', 'coding']) {
  describe(folder, { timeout: 240_000 }, () => {
    for (const one of readCases(folder)) {
      it(`${one.name}: expected events`, () => {
        const { derived } = analyze(chunksOf(one.blocks, whole), one.options);
        expect(derived).toMatchObject(one.expected as unknown[]);
      });

      it(`${one.name}: the same byte by byte and at every split`, () => {
        const { derived } = analyze(chunksOf(one.blocks, whole), one.options);
        expect(analyze(chunksOf(one.blocks, byteByByte), one.options).derived).toEqual(derived);
        for (const cuts of everySplit(one)) {
          expect(analyze(chunksOf(one.blocks, cuts), one.options).derived).toEqual(derived);
        }
      });

      if (folder === 'coding') continue;

      it(`${one.name}: a raw capture replays to the same events`, () => {
        const options = { ...one.options, locateSecrets };
        for (const cuts of [whole, byteByByte, (_block: number, length: number) => (length > 40 ? [17, 40] : [])]) {
          const live = analyze(chunksOf(one.blocks, cuts), options);
          // What came compressed is not in a masked capture: a replay keeps what was recorded.
          const recorded = new Set(live.derived.some((event) => event['compressed'] === true) ? ['c1'] : []);
          const raw = analyze(chunksOf(one.blocks, cuts), { ...options, raw: true });
          expect(raw.derived).toEqual(live.derived);
          const replayed = analyze(raw.chunks, { ...options, recorded });
          expect(replayed.derived).toEqual(recorded.size > 0 ? [] : live.derived);
          expect(JSON.stringify(live.derived)).not.toMatch(/secret-[a-z]/);
          const written = raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : []));
          expect(Buffer.concat(written).toString('latin1')).not.toMatch(/secret-[a-z]/);
          const again = analyze(raw.chunks, { ...options, raw: true });
          expect(again.chunks).toEqual(raw.chunks);
        }
      });
    }
  });
}
