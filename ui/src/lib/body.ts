/** Turns a captured body or payload into what the inspector shows. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly value: Json; readonly text: string }
  | { readonly kind: 'sse'; readonly events: readonly StreamEvent[]; readonly text: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** Larger texts are shown as text: a tree of them would freeze the page. */
const JSON_PARSE_CHARS = 4_000_000;

export function readBody(body: string | null, encoding: string, contentType: string): Body {
  if (body === null || body === '') return { kind: 'none' };
  if (encoding === 'base64') return fromBytes(decodeBase64(body));
  return fromText(body, contentType);
}

function fromBytes(bytes: Uint8Array): Body {
  return bytes.length === 0 ? { kind: 'none' } : { kind: 'bytes', bytes };
}

function fromText(text: string, contentType: string): Body {
  if (contentType.includes('text/event-stream')) return { kind: 'sse', events: splitStream(text), text };
  const first = text.trimStart()[0];
  if ((first === '{' || first === '[' || contentType.includes('json')) && text.length <= JSON_PARSE_CHARS) {
    const value = parseJson(text);
    if (value !== undefined) return { kind: 'json', value, text };
  }
  return { kind: 'text', text };
}

export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Splits a whole stream body; https://html.spec.whatwg.org/#event-stream-interpretation, without id and retry. */
export function splitStream(text: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  let event = '';
  let data: string[] = [];
  for (const line of `${text}\n\n`.split(/\r\n|\r|\n/)) {
    if (line === '') {
      if (data.length > 0) events.push({ event: event || 'message', data: data.join('\n') });
      event = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') event = value;
    if (name === 'data') data.push(value);
  }
  return events;
}

/** An object on one line, its nested values only hinted at. */
export function previewJson(value: Json, limitChars: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.length}]`;
  let text = '';
  for (const [key, child] of Object.entries(value)) {
    const nested = typeof child === 'object' && child !== null;
    text += `${text === '' ? '' : ', '}${key}: ${nested ? (Array.isArray(child) ? `[${child.length}]` : '{…}') : JSON.stringify(child).slice(0, limitChars)}`;
    if (text.length > limitChars) return `{${text.slice(0, limitChars)}…}`;
  }
  return `{${text}}`;
}

export function decodeBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    // A list cuts long strings, which may leave a broken last group.
    return Uint8Array.from(atob(text.slice(0, text.length - (text.length % 4))), (char) => char.charCodeAt(0));
  }
}

export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Lines of sixteen bytes: offset, hexadecimal, printable ASCII. */
export function hexLines(bytes: Uint8Array, limit: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, limit); at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, '0'));
    const ascii = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join('');
    const left = hex.slice(0, 8).join(' ').padEnd(23);
    const right = hex.slice(8).join(' ').padEnd(23);
    lines.push(`${at.toString(16).padStart(8, '0')}  ${left}  ${right}  ${ascii}`);
  }
  return lines;
}

/**
 * The leaves of an object on one line: `index 0 · delta.text "Hello"`. What
 * says only of which type something is gives its room to what is said.
 */
export function flatJson(value: Json, limitChars: number): string {
  const parts: string[] = [];
  let length = 0;
  const walk = (item: Json, path: string): void => {
    if (length > limitChars) return;
    if (typeof item === 'object' && item !== null) {
      for (const [name, child] of Object.entries(item) as [string, Json][]) if (name !== 'type') walk(child, path === '' ? name : `${path}.${name}`);
      return;
    }
    const part = path === '' ? JSON.stringify(item) : `${path} ${JSON.stringify(item)}`;
    parts.push(part);
    length += part.length;
  };
  walk(value, '');
  const text = parts.join(' · ');
  return text.length > limitChars ? `${text.slice(0, limitChars - 1)}…` : text;
}
