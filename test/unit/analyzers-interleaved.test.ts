/** The cases of HTTP/1, event streams, codings and WebSockets in other orders of the two directions, and with a loss anywhere. */
import { describe, expect, it } from 'vitest';
import { type Case, analyze, chunksOf, readCases } from '../cases.ts';
import { essence, interleavedAnswers, smallChunks, withGap } from '../helpers/interleave.ts';
import { generator } from '../helpers/random.ts';

type Derived = Readonly<Record<string, unknown>>;

const FOLDERS = ['http', 'coding', 'sse', 'websocket'];

function wholeOf({ blocks, options }: Case): readonly Derived[] {
  return analyze(chunksOf(blocks, () => []), options).derived;
}

/** Nothing is lost in it, and every exchange and message ends well. */
function isOrderly(one: Case, told: readonly Derived[]): boolean {
  return one.blocks.every(({ gap, at }) => gap === 0 && at === null) && told.length > 0 && told.every(({ state }) => state === undefined || state === 'complete');
}

describe.each(FOLDERS)('%s, its directions interleaved at random', (folder) => {
  for (const one of readCases(folder)) {
    const told = wholeOf(one);
    if (!isOrderly(one, told)) continue;
    it(one.name, () => {
      const expected = told.map((all) => essence(all)).toSorted();
      for (let seed = 0; seed < 10; seed++) {
        const { derived } = analyze(interleavedAnswers(smallChunks(one), generator(seed), told.some(({ status }) => status === 101)), one.options);
        expect(derived.map((all) => essence(all)).toSorted(), `seed ${seed}`).toEqual(expected);
      }
    });
  }
});

describe.each(FOLDERS)('%s, a gap anywhere', (folder) => {
  for (const one of readCases(folder)) {
    const told = wholeOf(one);
    if (!isOrderly(one, told)) continue;
    it(`${one.name}: what is complete is right`, () => {
      const right = new Set(told.map((all) => essence(all)));
      for (let seed = 0; seed < 20; seed++) {
        for (const found of analyze(withGap(smallChunks(one), generator(seed)), one.options).derived) {
          if (found['state'] === 'complete') expect(right, `seed ${seed}`).toContain(essence(found));
        }
      }
    });
  }
});
