/** Bodies: by length, by chunks (RFC 9112 §7.1), or until the connection ends. */
import { CR, LF, SEMICOLON, SPACE, TAB, hexValue } from './bytes.ts';
import { FRAMING, type Framing } from './framing.ts';
import { AT, BAD_CHUNK, BAD_SIZE, type Http1Parser, IN, seekFresh, startGathering } from './state.ts';

export function beginBody(p: Http1Parser, framing: Framing, position: number): void {
  p.bodyAt = position;
  if (framing > 0) {
    p.remaining = framing;
    p.state = AT.length;
  } else if (framing === FRAMING.none) {
    p.handler.onEnd(position);
  } else if (framing === FRAMING.chunked) {
    beginChunkSize(p);
  } else if (framing === FRAMING.untilClose) {
    p.state = AT.untilClose;
  } else if (framing === FRAMING.opaque) {
    p.state = AT.opaque;
  } else {
    seekFresh(p);
  }
}

export function stepBody(p: Http1Parser, bytes: Buffer, at: number): number {
  const end = Math.min(bytes.length, at + p.remaining);
  p.remaining -= end - at;
  p.handler.onBody(bytes, at, end, p.base + at);
  if (p.remaining === 0) endOfPart(p, p.base + end);
  return end;
}

/** The body, or its current chunk, is whole. */
export function endOfPart(p: Http1Parser, position: number): void {
  if (p.state === AT.chunkData) {
    p.state = AT.chunkEnd;
    return;
  }
  p.state = AT.start;
  p.handler.onEnd(position);
}

export function beginChunkSize(p: Http1Parser): void {
  p.state = AT.chunkSize;
  p.remaining = 0;
  p.sizeLine = 0;
  p.sizePart = IN.size;
}

export function stepChunkSize(p: Http1Parser, bytes: Buffer, at: number): number {
  for (let i = at; i < bytes.length; i++) {
    const digit = hexValue(bytes[i] as number);
    if (digit === -1) {
      if (p.sizeLine === 0) return failChunk(p, i, BAD_CHUNK);
      p.state = AT.chunkExtension;
      return i;
    }
    p.remaining = p.remaining * 16 + digit;
    p.sizeLine++;
    // The digit is read, so that a capture, which leaves out what is not, tells the same.
    if (p.remaining > Number.MAX_SAFE_INTEGER) return failChunk(p, i + 1, BAD_SIZE);
    if (p.sizeLine > p.limits.httpChunkLineBytes) return failChunk(p, i, BAD_CHUNK);
  }
  return bytes.length;
}

/** The rest of a chunk's size line: white space, extensions (RFC 9112 §7.1.1), the line end. */
export function stepChunkExtension(p: Http1Parser, bytes: Buffer, at: number): number {
  const from = at;
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte === LF || byte === CR || p.sizePart !== IN.extension) {
      if (p.sizePart === IN.extension) p.handler.onExtension(p.base + from, p.base + i);
      // A line feed that does not belong there was flagged, so it counts as read.
      if (!takeSizeByte(p, byte)) return failChunk(p, byte === LF ? i + 1 : i, BAD_CHUNK);
      if (byte === LF) return endSizeLine(p, i + 1);
      if (p.sizePart === IN.extension) return i + 1;
    }
    if (++p.sizeLine > p.limits.httpChunkLineBytes) return failChunk(p, i, BAD_CHUNK);
  }
  if (p.sizePart === IN.extension) p.handler.onExtension(p.base + from, p.base + bytes.length);
  return bytes.length;
}

/** False where the byte does not belong there; LF alone ends a line in which it cannot mean anything else. */
function takeSizeByte(p: Http1Parser, byte: number): boolean {
  const { sizePart, handler } = p;
  if (byte === LF) {
    if (sizePart === IN.lineEnd) return true;
    handler.onFlag('bare-line-feed');
    return sizePart !== IN.extension;
  }
  if (sizePart === IN.lineEnd) return false;
  if (byte === CR) {
    p.sizePart = IN.lineEnd;
  } else if (byte === SEMICOLON) {
    p.sizePart = IN.extension;
    handler.onFlag('chunk-extension');
  } else {
    if (byte !== SPACE && byte !== TAB) return false;
    p.sizePart = IN.padding;
    handler.onFlag('chunk-size-padded');
  }
  return true;
}

function endSizeLine(p: Http1Parser, end: number): number {
  p.sizePart = IN.size;
  p.state = p.remaining === 0 ? AT.trailers : AT.chunkData;
  if (p.remaining === 0) startGathering(p, end);
  return end;
}

export function stepChunkEnd(p: Http1Parser, bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === CR && p.sizePart === IN.size) {
    p.sizePart = IN.lineEnd;
    return at + 1;
  }
  if (byte !== LF) return failChunk(p, at, BAD_CHUNK);
  if (p.sizePart === IN.size) p.handler.onFlag('bare-line-feed');
  beginChunkSize(p);
  return at + 1;
}

/** Seeks from this byte on. */
function failChunk(p: Http1Parser, at: number, reason: string): number {
  seekFresh(p);
  p.handler.onLost(reason, false);
  return at;
}
