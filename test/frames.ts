/**
 * Bytes of HTTP/2 from lines that people can read:
 *
 *     preface
 *     settings                     or `settings ack`
 *     headers 1 end                stream 1, END_STREAM; `pad=4`, `priority`, `split=5` (the rest of the block in CONTINUATION)
 *       :method: GET               literal, not kept in the table; escapes too
 *       +x-key: value              kept; `~` before the name: Huffman coded; `!`: never to be kept
 *       #62                        a field of the table; `#62: value`, `+#62: value`: its name alone
 *       @4096                      the table has this size from here on
 *     push 1 2                     on stream 1, promising 2; fields follow
 *     data 1 end pad=3 | text      escapes as in `cases.ts`
 *     reset 1 8
 *     goaway 1 11
 *     frame 12 0 1 | bytes         type, flags, stream
 */
import { encodeHuffman } from '../analyzers/http2/huffman.ts';

const STATIC_NAMES: Readonly<Record<string, number>> = { ':authority': 1, ':method': 2, ':path': 4, ':scheme': 6, ':status': 8 };

export function framesOf(text: string, unescape: (text: string) => Buffer): Buffer {
  const frames: Buffer[] = [];
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    const fields: string[] = [];
    while (lines[i + 1]?.startsWith('  ') === true) fields.push(unescape((lines[++i] as string).slice(2)).toString());
    frames.push(framesOfLine(line, fields, unescape));
  }
  return Buffer.concat(frames);
}

function framesOfLine(line: string, fields: readonly string[], unescape: (text: string) => Buffer): Buffer {
  const bar = line.indexOf(' |');
  const [kind = '', ...words] = (bar === -1 ? line : line.slice(0, bar)).trim().split(/\s+/);
  const body = bar === -1 ? Buffer.alloc(0) : unescape(line.slice(bar + 3));
  const [first = 0, second = 0] = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const end = words.includes('end');
  const pad = option(words, 'pad');
  switch (kind) {
    case 'preface': return Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    case 'settings': return words.includes('ack') ? frame(4, 1, 0, Buffer.alloc(0)) : frame(4, 0, 0, Buffer.from('000300000064', 'hex'));
    case 'headers': return headersFrames(first, { end, pad, priority: words.includes('priority'), split: option(words, 'split') }, blockOf(fields));
    case 'push': return frame(5, 4, first, Buffer.concat([uint32(second), blockOf(fields)]));
    case 'data': return frame(0, Number(end) | (pad === null ? 0 : 8), first, padded(body, pad));
    case 'reset': return frame(3, 0, first, uint32(second));
    case 'goaway': return frame(7, 0, 0, Buffer.concat([uint32(first), uint32(second)]));
    case 'frame': return frame(first, second, Number(words[2] ?? 0), body);
    default: throw new Error(`unknown frame ${kind}`);
  }
}

function option(words: readonly string[], name: string): number | null {
  const word = words.find((one) => one.startsWith(`${name}=`));
  return word === undefined ? null : Number(word.slice(name.length + 1));
}

interface HeadersOptions {
  readonly end: boolean;
  readonly pad: number | null;
  readonly priority: boolean;
  readonly split: number | null;
}

function headersFrames(stream: number, { end, pad, priority, split }: HeadersOptions, block: Buffer): Buffer {
  const first = split === null ? block : block.subarray(0, split);
  const flags = Number(end) | (split === null ? 4 : 0) | (pad === null ? 0 : 8) | (priority ? 0x20 : 0);
  const content = priority ? Buffer.concat([Buffer.from('8000000010', 'hex'), first]) : first;
  const head = frame(1, flags, stream, padded(content, pad));
  return split === null ? head : Buffer.concat([head, frame(9, 0, stream, block.subarray(split, split + 1)), frame(9, 4, stream, block.subarray(split + 1))]);
}

function padded(content: Buffer, pad: number | null): Buffer {
  return pad === null ? content : Buffer.concat([Buffer.of(pad), content, Buffer.alloc(pad)]);
}

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function blockOf(fields: readonly string[]): Buffer {
  return Buffer.concat(fields.map(fieldOf));
}

function fieldOf(line: string): Buffer {
  const [, marks = '', rest = ''] = /^([+~!]*)(.*)$/s.exec(line) ?? [];
  if (rest.startsWith('@')) return integer(Number(rest.slice(1)), 5, 0x20);
  const colon = rest.indexOf(': ');
  if (rest.startsWith('#') && colon === -1) return integer(Number(rest.slice(1)), 7, 0x80);
  const name = rest.slice(0, colon);
  const huffman = marks.includes('~');
  const index = name.startsWith('#') ? Number(name.slice(1)) : STATIC_NAMES[name] ?? 0;
  const kind = marks.includes('+') ? integer(index, 6, 0x40) : integer(index, 4, marks.includes('!') ? 0x10 : 0);
  return Buffer.concat([kind, index === 0 ? string(name, huffman) : Buffer.alloc(0), string(rest.slice(colon + 2), huffman)]);
}

function string(text: string, huffman: boolean): Buffer {
  const bytes = huffman ? encodeHuffman(Buffer.from(text)) : Buffer.from(text);
  return Buffer.concat([integer(bytes.length, 7, huffman ? 0x80 : 0), bytes]);
}

function integer(value: number, bits: number, mark: number): Buffer {
  const all = (1 << bits) - 1;
  if (value < all) return Buffer.of(mark | value);
  const bytes = [mark | all];
  let rest = value - all;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}
