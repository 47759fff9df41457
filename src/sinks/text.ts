/**
 * Text for a terminal. What a traced program wrote must not steer the terminal
 * of whoever watches: control characters, C1 controls and the marks that turn
 * the direction of text are shown as escapes.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\x1b': '\\e', '\0': '\\0' };

/** One line, safe to print. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return SHORT[character] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`);
  });
}

/** The start of a payload as text in quotes, or its bytes in hex when it is not text. */
export function quotePayload(payload: Uint8Array, limit: number): string {
  const start = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.byteLength, limit * 4));
  const text = start.toString('utf8');
  // A cut character at the end becomes one U+FFFD; several mean that this is no text.
  const broken = text.split('\ufffd').length - 1;
  if (broken > 1 + text.length / 64) return `0x${start.toString('hex').slice(0, limit)}`;
  return `"${escapeText(text.slice(0, limit))}"`;
}

/** Wide and emoji blocks take two columns. Combining marks count one: a line may end early, never late. */
function columnsOf(codePoint: number): number {
  const wide = (codePoint >= 0x1100 && codePoint <= 0x115f) || (codePoint >= 0x2e80 && codePoint <= 0xa4cf) ||
    (codePoint >= 0xac00 && codePoint <= 0xd7a3) || (codePoint >= 0xf900 && codePoint <= 0xfaff) ||
    (codePoint >= 0xfe30 && codePoint <= 0xfe6f) || (codePoint >= 0xff00 && codePoint <= 0xff60) ||
    (codePoint >= 0xffe0 && codePoint <= 0xffe6) || (codePoint >= 0x1f300 && codePoint <= 0x1faff) || codePoint >= 0x20000;
  return wide ? 2 : 1;
}

/** Cut to a number of columns, with an ellipsis where something was cut. */
export function fitColumns(text: string, columns: number): string {
  if (text.length * 2 <= columns) return text;
  let used = 0;
  let end = 0;
  for (const character of text) {
    used += columnsOf(character.codePointAt(0) ?? 0);
    if (used > columns) return `${text.slice(0, cutBefore(text, end, columns))}…`;
    end += character.length;
  }
  return text;
}

/** Where to cut so that the ellipsis has its column. */
function cutBefore(text: string, end: number, columns: number): number {
  let used = 0;
  let at = 0;
  for (const character of text.slice(0, end)) {
    used += columnsOf(character.codePointAt(0) ?? 0);
    if (used > columns - 1) break;
    at += character.length;
  }
  return at;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} KB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
}
