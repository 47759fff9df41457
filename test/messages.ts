/**
 * Frames of a WebSocket from lines that people can read:
 *
 *     text | hello                 `binary`, `ping`, `pong`; escapes as in `cases.ts`
 *     text mask=01020304 | hello   of a client
 *     text part | hel              more fragments follow: `more part | l`, and the last, `more | o`
 *     text deflate | bytes         the first reserved bit: the bytes are compressed
 *     close 1000 | bye
 *     frame 131 | bytes            the first byte as a number; `long`: 64 bits of length, needed or not
 */
const OPCODES: Readonly<Record<string, number>> = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

export function messagesOf(text: string, unescape: (text: string) => Buffer): Buffer {
  return Buffer.concat(text.split('\n').filter((line) => line.trim() !== '').map((line) => messageOfLine(line, unescape)));
}

function messageOfLine(line: string, unescape: (text: string) => Buffer): Buffer {
  const bar = line.indexOf(' |');
  const [kind = '', ...words] = (bar === -1 ? line : line.slice(0, bar)).trim().split(/\s+/);
  const said = bar === -1 ? Buffer.alloc(0) : unescape(line.slice(bar + 2).replace(/^ /, ''));
  const [number] = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const opcode = OPCODES[kind];
  if (opcode === undefined && (kind !== 'frame' || number === undefined)) throw new Error(`unknown frame ${line}`);
  const first = opcode === undefined ? number ?? 0 : opcode | (words.includes('part') ? 0 : 0x80) | (words.includes('deflate') ? 0x40 : 0);
  const code = Buffer.alloc(2);
  code.writeUInt16BE(number ?? 0);
  const payload = kind === 'close' && number !== undefined ? Buffer.concat([code, said]) : said;
  const key = words.find((word) => word.startsWith('mask='))?.slice('mask='.length);
  return frameOf(first, payload, { key: key === undefined ? null : Buffer.from(key, 'hex'), long: words.includes('long') });
}

export interface FrameOptions {
  readonly key: Buffer | null;
  /** 64 bits of length, needed or not. */
  readonly long?: boolean;
}

export function frameOf(first: number, payload: Buffer, { key, long = false }: FrameOptions): Buffer {
  const size = long || payload.length > 0xffff ? 127 : payload.length > 125 ? 126 : payload.length;
  const length = Buffer.alloc(size === 127 ? 8 : size === 126 ? 2 : 0);
  if (size === 127) length.writeBigUInt64BE(BigInt(payload.length));
  if (size === 126) length.writeUInt16BE(payload.length);
  const masked = key === null ? payload : payload.map((byte, i) => byte ^ (key[i % 4] ?? 0));
  return Buffer.concat([Buffer.of(first, size | (key === null ? 0 : 0x80)), length, key ?? Buffer.alloc(0), masked]);
}
