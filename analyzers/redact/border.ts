/**
 * Where a word begins: not after a letter, a digit or `_`, unless an escape ends with it, as `\n`, `\u0022`, `%3D` and
 * ESC `[31m` do. Text has escapes wherever it was put into something: JSON, JSON in JSON, a URL, a terminal.
 */
const ESCAPES = [
  // Of JSON and source text.
  String.raw`\\(?:[nrtbfv]|u[\da-fA-F]{4}|x[\da-fA-F]{2})`,
  // Of URLs and forms; of quoted-printable text.
  String.raw`%[\da-fA-F]{2}`, String.raw`=[\dA-F]{2}`,
  // Of a terminal, however its ESC is written; with a number it is known without one.
  String.raw`(?:\[|%5[Bb])\d[\d;]{0,16}[a-zA-Z]`, String.raw`(?:\x1b|1[bB]|\\e|\\033)(?:\[|%5[Bb])[mK]`,
];
const ESCAPE = ESCAPES.join('|');
/** More than stands before a word, for all of this to be told. */
export const BORDER_BYTES = 24;

export interface Border {
  /** Of what may stand before, but for escapes. */
  readonly before?: RegExp;
}

/** What stands before a command-line option. */
export const OPTION_BORDER: Border = { before: /(?:^|[\s"'])/ };
/** What stands before the name of a parameter of a URL or a form. */
export const PARAMETER_BORDER = String.raw`(?:^|[?&;]|\\u0026|%26|%3[Ff])`;

/**
 * The source of a pattern of this, at the beginning of a word. What stands before is looked at last: the search for
 * letters runs 300 times as fast as one for what is not before them.
 */
export function bordered(opening: RegExp, { before = /(?<!\w)/ }: Border = {}): string {
  return `${opening.source}(?<=(?:${before.source}|${ESCAPE})${opening.source})`;
}
