/** Each parser with damaged inputs, the same in every run; `npm run fuzz` goes on with others. */
import { describe, it } from 'vitest';
import { FUZZ_PARSERS, fuzzOnce } from '../helpers/fuzz-parsers.ts';

const INPUTS = 200;

describe('damaged input', { timeout: 120_000 }, () => {
  for (const parser of FUZZ_PARSERS) {
    it(`${parser.name}: no exception, and no bound is passed`, () => {
      for (let seed = 0; seed < INPUTS; seed++) {
        try {
          fuzzOnce(parser, seed);
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
    });
  }
});
