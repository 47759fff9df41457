/** Bodies: by length, by chunks (RFC 9112 §7.1), or until the connection ends. */
import { CR, LF, SEMICOLON, SPACE, TAB, hexValue } from './bytes.ts';
import { FRAMING, type Framing } from './head.ts';
import { AT, BAD_CHUNK, type Http1Parser, startGathering } from './state.ts';

export function beginBody(p: Http1Parser, framing: Framing, position: number): void {
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
    p.state = AT.seek;
    p.atLine = false;
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

function beginChunkSize(p: Http1Parser): void {
  p.state = AT.chunkSize;
  p.remaining = 0;
  p.sizeLine = 0;
}

export function stepChunkSize(p: Http1Parser, bytes: Buffer, at: number): number {
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const digit = hexValue(byte);
    if (digit === -1) {
      if (p.sizeLine === 0 || !(byte === LF || byte === CR || byte === SEMICOLON || byte === SPACE || byte === TAB)) {
        return failChunk(p, i);
      }
      p.state = AT.chunkExtension;
      return i;
    }
    p.remaining = p.remaining * 16 + digit;
    p.sizeLine++;
    if (p.remaining > Number.MAX_SAFE_INTEGER || p.sizeLine > p.limits.httpChunkLineBytes) return failChunk(p, i);
  }
  return bytes.length;
}

/** The rest of a chunk's size line: white space, extensions, CR. None of it matters here. */
export function stepChunkExtension(p: Http1Parser, bytes: Buffer, at: number): number {
  const room = p.limits.httpChunkLineBytes - p.sizeLine;
  const newline = bytes.indexOf(LF, at);
  const end = newline === -1 ? bytes.length : newline + 1;
  if (end - at > room) return failChunk(p, at + room);
  p.sizeLine += end - at;
  if (newline === -1) return end;
  p.state = p.remaining === 0 ? AT.trailers : AT.chunkData;
  if (p.remaining === 0) startGathering(p, end);
  return end;
}

export function stepChunkEnd(p: Http1Parser, bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === LF) beginChunkSize(p);
  else if (byte !== CR) return failChunk(p, at);
  return at + 1;
}

/** Seeks from this byte on. */
function failChunk(p: Http1Parser, at: number): number {
  p.state = AT.seek;
  p.atLine = false;
  p.handler.onLost(BAD_CHUNK, false);
  return at;
}
