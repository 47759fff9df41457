/**
 * Reads the fields of one block of an event stream (WHATWG HTML §9.2.6): data
 * over several lines, event, id, retry; comments and unknown fields are ignored.
 * The last event id lives as long as the stream; a time to wait in a block without data is told with the next event; everything else is a block's own.
 */
export interface SseFields {
  readonly event: string;
  readonly data: string;
  readonly lastEventId: string | null;
  readonly retryMs: number | null;
}

export interface SseParser {
  lastEventId: string | null;
  /** Said in a block without data, since the last event. */
  retryMs: number | null;
  /** Only the first block can begin with a byte order mark. */
  first: boolean;
}

interface Block {
  event: string;
  data: string | null;
  retryMs: number | null;
}

export function createSseParser(): SseParser {
  return { lastEventId: null, retryMs: null, first: true };
}

/** null when the block has no data, and so is no event. */
export function parseBlock(parser: SseParser, bytes: Buffer): SseFields | null {
  let text = bytes.toString('utf8');
  if (parser.first && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
  parser.first = false;
  const block: Block = { event: '', data: null, retryMs: null };
  let lineFeed = -1;
  let carriageReturn = -1;
  // Between CR and LF there is an empty line, which says nothing.
  for (let at = 0; at < text.length;) {
    if (lineFeed < at) lineFeed = nextOf('\n', text, at);
    if (carriageReturn < at) carriageReturn = nextOf('\r', text, at);
    const end = Math.min(lineFeed, carriageReturn);
    if (end > at) takeLine(parser, block, text.slice(at, end));
    at = end + 1;
  }
  const retryMs = block.retryMs ?? parser.retryMs;
  parser.retryMs = block.data === null ? retryMs : null;
  if (block.data === null) return null;
  return {
    event: block.event === '' ? 'message' : block.event,
    data: block.data,
    lastEventId: parser.lastEventId,
    retryMs,
  };
}

/** Where the character is next, or the end of the text. */
function nextOf(character: string, text: string, at: number): number {
  const found = text.indexOf(character, at);
  return found === -1 ? text.length : found;
}

function takeLine(parser: SseParser, block: Block, line: string): void {
  const colon = line.indexOf(':');
  const name = colon === -1 ? line : line.slice(0, colon);
  const from = line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
  const value = colon === -1 ? '' : line.slice(from);
  switch (name) {
    case 'data':
      block.data = block.data === null ? value : `${block.data}\n${value}`;
      break;
    case 'event':
      block.event = value;
      break;
    case 'id':
      if (!value.includes('\0')) parser.lastEventId = value;
      break;
    case 'retry':
      if (/^[0-9]+$/.test(value)) block.retryMs = Number(value);
      break;
  }
}
