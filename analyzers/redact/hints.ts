/**
 * Which rules could find a secret in text. Nearly no text holds any, and trying a rule costs more than
 * all of this. Every rule needs one of a few trigrams. A trigram spans two pairs of neighbours, one of which
 * starts at an even place: looking at every second pair finds it. The tables together fit the first-level cache,
 * which a table of all trigrams does not.
 */

/** Three bytes of everything that a rule needs; of a word, its rarest three. */
const TRIGRAMS = {
  shape: [
    'sk-', 'aiz', 'a29', 'spx', '1//', 'hf_', 'gsk', 'ai-', 'plx', 'r8_', 'ho_', 'hp_', 'hs_', 'hu_', 'hr_', 'b_p', 'at-', 'pm_', 'pyp',
    'kia', 'asi', '_v1', 'xox', 'pp-', 'k_l', 'k_t', 'hse', 'sg.', 't-k', 'eyj',
  ],
  name: ['key', 'cre', 'oke', 'ssw', 'ssp', 'uth', 'oki', '_pa', '-pa'],
  variable: ['ey=', 'wd='],
  parameter: ['ey=', 'ig=', 're=', 'ac=', 'th=', 'wd=', 'ss=', 'id=', 'de=', 'er=', 'on=', 'al='],
  credential: ['rer', 'sic'],
  hook: ['k.c'],
  netrc: ['ssw'],
  userOption: ['-u ', '-u\t', '-u=', '-us'],
  userInfo: ['://'],
  program: ['rl ', 'rl\t', 'ysq', 'iad', 'hpa', 'ss:'],
  form: ['m-d', '5d=', 'y]=', 'd]=', 't]=', 'n]=', 'e]=', 'r]=', 'l]=', 's]=', '2]=', 'h]='],
  element: ['ey>', 'id>', 'et>', 'en>', 'wd>', 'rd>', 'al>'],
  keyBlock: ['-be'],
  /** The name of a header. */
  field: ['oki', 'uth', 'key', 'oke', 'cre', 'ssw', 'ssp', 'ssi', 'gna', 'jwt'],
} as const;

type Rule = keyof typeof TRIGRAMS;
const RULES = Object.keys(TRIGRAMS) as Rule[];

/** One bit for each rule. */
export type Hints = number;

/** Letters in lower case; other bytes to something of their own, the same here and in the tables. */
const FOLD = 0x20;
/** Beyond ASCII a byte looks like another one: at worst a false alarm. */
const SEVEN_BITS = 0x7f;

/** Pair to its number, 0 for a pair of no trigram; and by that number, the rules of what may come before and after it. */
const PAIRS = new Uint8Array(1 << 14);
const BEFORE = new Uint16Array(256 << 7);
const AFTER = new Uint16Array(256 << 7);
fillTables();

function fold(code: number): number {
  return (code | FOLD) & SEVEN_BITS;
}

function fillTables(): void {
  let pairs = 0;
  const numberOf = (first: number, second: number): number => {
    const pair = (first << 7) | second;
    if (PAIRS[pair] === 0) PAIRS[pair] = ++pairs;
    return (PAIRS[pair] as number) << 7;
  };
  for (const rule of RULES) {
    for (const trigram of TRIGRAMS[rule]) {
      const [first, second, third] = Array.from(trigram, (character) => fold(character.charCodeAt(0))) as [number, number, number];
      const after = numberOf(first, second) | third;
      const before = numberOf(second, third) | first;
      AFTER[after] = (AFTER[after] as number) | hintOf(rule);
      BEFORE[before] = (BEFORE[before] as number) | hintOf(rule);
    }
  }
}

function hintOf(rule: Rule): Hints {
  return 1 << RULES.indexOf(rule);
}

export const HINT = Object.fromEntries(RULES.map((rule) => [rule, hintOf(rule)])) as Readonly<Record<Rule, Hints>>;

export function hintsInBytes(bytes: Uint8Array, from = 0, to = bytes.length): Hints {
  let hints = 0;
  for (let at = from + 1; at < to; at += 2) {
    const pair = PAIRS[(fold(bytes[at - 1] as number) << 7) | fold(bytes[at] as number)] as number;
    if (pair === 0) continue;
    if (at + 1 < to) hints |= AFTER[(pair << 7) | fold(bytes[at + 1] as number)] as number;
    if (at > from + 1) hints |= BEFORE[(pair << 7) | fold(bytes[at - 2] as number)] as number;
  }
  return hints;
}

export function hintsInText(text: string): Hints {
  const { length } = text;
  let hints = 0;
  for (let at = 1; at < length; at += 2) {
    const pair = PAIRS[(fold(text.charCodeAt(at - 1)) << 7) | fold(text.charCodeAt(at))] as number;
    if (pair === 0) continue;
    if (at + 1 < length) hints |= AFTER[(pair << 7) | fold(text.charCodeAt(at + 1))] as number;
    if (at > 1) hints |= BEFORE[(pair << 7) | fold(text.charCodeAt(at - 2))] as number;
  }
  return hints;
}
