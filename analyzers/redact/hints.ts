/**
 * Whether text could hold a secret at all. Nearly none does, and trying the
 * rules costs microseconds. Every rule needs one of a few trigrams. A trigram
 * spans two pairs of neighbours, one of which starts at an even place: looking
 * at every second pair finds it. The tables together fit the first-level cache,
 * which a table of all trigrams does not.
 */

/** Three bytes of everything that a rule needs; of a word, its rarest three. */
const TRIGRAMS = [
  'key', 'oke', 'cre', 'ssw', 'ssp', 'uth', 'rer', 'sic', 'ig=', 're=', 'on=', 'er=', 'al=', '://',
  'sk-', 'aiz', 'hf_', 'gsk', 'ai-', 'ho_', 'hp_', 'hs_', 'hu_', 'hr_', 'b_p', 'at-', 'pm_', 'kia', 'asi', 'xox', 'eyj', 'pp-', 'oki', 'wd=', 'ss=', '_pa', '-pa',
  'a29', 'spx', '1//', 'plx', 'r8_', 'pyp', '_v1', 'k.c', 'k_l', 'k_t', 'hse', 'sg.', 'de=', 'id=', 'ac=',
];

/** Letters in lower case; other bytes to something of their own, the same here and in the tables. */
const FOLD = 0x20;
/** Beyond ASCII a byte looks like another one: at worst a false alarm. */
const SEVEN_BITS = 0x7f;

/** Pair to its number, 0 for a pair of no trigram; and by that number, what may come before and after it. */
const PAIRS = new Uint8Array(1 << 14);
const BEFORE = new Uint8Array(256 << 7);
const AFTER = new Uint8Array(256 << 7);
fillTables();

function fold(code: number): number {
  return (code | FOLD) & SEVEN_BITS;
}

function fillTables(): void {
  let pairs = 0;
  const numberOf = (first: number, second: number): number => {
    const pair = (first << 7) | second;
    if (PAIRS[pair] === 0) PAIRS[pair] = ++pairs;
    return PAIRS[pair] as number;
  };
  for (const trigram of TRIGRAMS) {
    const [first, second, third] = Array.from(trigram, (character) => fold(character.charCodeAt(0))) as [number, number, number];
    AFTER[(numberOf(first, second) << 7) | third] = 1;
    BEFORE[(numberOf(second, third) << 7) | first] = 1;
  }
}

export function bytesMayHoldSecret(bytes: Uint8Array): boolean {
  const { length } = bytes;
  for (let at = 1; at < length; at += 2) {
    const pair = PAIRS[(fold(bytes[at - 1] as number) << 7) | fold(bytes[at] as number)] as number;
    if (pair === 0) continue;
    if (at + 1 < length && AFTER[(pair << 7) | fold(bytes[at + 1] as number)] === 1) return true;
    if (at > 1 && BEFORE[(pair << 7) | fold(bytes[at - 2] as number)] === 1) return true;
  }
  return false;
}

export function textMayHoldSecret(text: string): boolean {
  const { length } = text;
  for (let at = 1; at < length; at += 2) {
    const pair = PAIRS[(fold(text.charCodeAt(at - 1)) << 7) | fold(text.charCodeAt(at))] as number;
    if (pair === 0) continue;
    if (at + 1 < length && AFTER[(pair << 7) | fold(text.charCodeAt(at + 1))] === 1) return true;
    if (at > 1 && BEFORE[(pair << 7) | fold(text.charCodeAt(at - 2))] === 1) return true;
  }
  return false;
}
