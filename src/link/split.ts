/** Cuts JSONL into pieces that fit a frame, between lines. */
import { LIMITS } from '../limits.ts';
import { countLines } from './spool.ts';
import type { Lines } from './unacked.ts';

/** Room for a frame's type and sequence. */
const FRAME_OVERHEAD_BYTES = 16;
const NEWLINE = 0x0a;

/** A single line that no frame can carry is refused. */
export function splitLines(jsonl: Buffer, frameBytes: number = LIMITS.linkFrameBytes): { pieces: Lines[]; refusedLines: number } {
  const maxBytes = frameBytes - FRAME_OVERHEAD_BYTES;
  const pieces: Lines[] = [];
  let refusedLines = 0;
  for (let start = 0; start < jsonl.length; ) {
    const end = pieceEnd(jsonl, start, maxBytes);
    if (end - start > maxBytes) refusedLines += 1;
    else pieces.push({ jsonl: jsonl.subarray(start, end), events: countLines(jsonl.subarray(start, end)) });
    start = end;
  }
  return { pieces, refusedLines };
}

/** After the last line that fits, or after the first one when even that does not. */
function pieceEnd(jsonl: Buffer, start: number, maxBytes: number): number {
  if (jsonl.length - start <= maxBytes) return jsonl.length;
  const last = jsonl.lastIndexOf(NEWLINE, start + maxBytes - 1);
  if (last >= start) return last + 1;
  const first = jsonl.indexOf(NEWLINE, start);
  return first < 0 ? jsonl.length : first + 1;
}
