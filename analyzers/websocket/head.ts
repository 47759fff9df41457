/** The head of a WebSocket's frame (RFC 6455 §5.2): its length, and what the standard forbids. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const HEAD_BYTES_MAX = 14;
const CONTROL_BYTES_MAX = 125;
/** A payload from here on has its length in 16 bits, or in 64. */
export const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function isControl(opcode: number): boolean {
  return opcode >= OPCODE.close;
}

/** Of the two first bytes, until they are there; then of the whole head. */
export function headLength(head: Buffer, there: number): number {
  if (there < 2) return 2;
  const second = head[1] ?? 0;
  const length = second & 0x7f;
  return 2 + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0) + (second >= 0x80 ? 4 : 0);
}

/** What the head says against the standard: by its first two bytes where they are all that is there. */
export function faultOf(head: Buffer, there: 'two' | 'whole', fromClient: boolean): string | null {
  const first = head[0] ?? 0;
  const second = head[1] ?? 0;
  const opcode = first & 0x0f;
  if ((first & 0x30) !== 0) return 'reserved bits are set';
  if ((opcode > OPCODE.binary && opcode < OPCODE.close) || opcode > OPCODE.pong) return `opcode ${opcode} is not known`;
  if (second >= 0x80 !== fromClient) return fromClient ? 'frame of a client without a mask' : 'masked frame of a server';
  if (isControl(opcode) && first < 0x80) return 'fragment of a control frame';
  if (isControl(opcode) && (second & 0x7f) > CONTROL_BYTES_MAX) return 'control frame over 125 bytes';
  if (there === 'two') return null;
  const length = lengthOf(head);
  if (!Number.isSafeInteger(length)) return 'frame length is out of range';
  const least = { [LENGTH_16]: LENGTH_16, [LENGTH_64]: 0x1_0000 }[second & 0x7f] ?? 0;
  return length < least ? 'frame length is not in its shortest form' : null;
}

/** Of the payload, as the whole head says. */
export function lengthOf(head: Buffer): number {
  const length = (head[1] ?? 0) & 0x7f;
  if (length < LENGTH_16) return length;
  return length === LENGTH_16 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
}
