/** Strings and values to JSON text that every UTF-8 reader can take. */

const PLAIN = /^[ !#-[\]-~]*$/;

/** Names and keys are nearly always plain: testing costs a third of stringifying. */
export function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : stringify(text);
}

/** `JSON.stringify` writes half a surrogate pair as an escape, which no UTF-8 reader can turn into text. */
export function stringify(value: unknown): string {
  const json = JSON.stringify(value);
  if (!json.includes('\\ud')) return json;
  return json.replace(/\\(?:(ud[89a-f][0-9a-f]{2})|.)/g, (whole: string, half: string | undefined) => (half === undefined ? whole : '\ufffd'));
}
