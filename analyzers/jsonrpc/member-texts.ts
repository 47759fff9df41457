/**
 * The text of one member of each object at one depth of a JSON text, as it was sent: a number of more digits than
 * JavaScript keeps is another one after `JSON.parse`. The text must be one that `JSON.parse` takes.
 */

/** Strings, whose characters mean nothing, the signs that do, and everything else as it stands. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** One for each object, in order; undefined where it has no such member. Depth 1 is the outermost. */
export function memberTexts(text: string, name: string, depth: number): readonly (string | undefined)[] {
  const found: (string | undefined)[] = [];
  const key = JSON.stringify(name);
  let level = 0;
  let last = '';
  let isValue = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') level++;
    if (token === '{' && level === depth) found.push(undefined);
    if (isValue) found[found.length - 1] = token;
    isValue = token === ':' && level === depth && last === key;
    if (token === '}' || token === ']') level--;
    last = token;
  }
  return found;
}
