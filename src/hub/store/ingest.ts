/**
 * Batches into the store. The lines go as the bytes they came as; nobody parses
 * them here unless the store refuses the batch, and then the good ones are
 * stored and the bad ones counted.
 */
import type { ClickHouseClient } from '@clickhouse/client';
import { insertBytes, isBadLine } from './client.ts';
import { parseJson } from './rows.ts';
import { EVENT_COLUMNS } from './schema.ts';

export interface IngestResult {
  readonly stored: number;
  readonly refused: number;
}

const NEWLINE = 0x0a;

export async function ingest(client: ClickHouseClient, token: string, lines: Buffer): Promise<IngestResult> {
  const total = countLines(lines);
  if (total === 0) return { stored: 0, refused: 0 };
  try {
    await insertBytes(client, { table: 'events', columns: EVENT_COLUMNS, token, lines });
    return { stored: total, refused: 0 };
  } catch (error) {
    if (!isBadLine(error)) throw error;
  }
  const good = splitLines(lines).filter(isEventLine);
  const stored = await insertOrHalve(client, token, good);
  return { stored, refused: total - stored };
}

/**
 * Gives what the store takes. Tokens follow from the batch's, so that the whole
 * thing may happen again and still stores each line once.
 */
async function insertOrHalve(client: ClickHouseClient, token: string, lines: readonly Buffer[]): Promise<number> {
  if (lines.length === 0) return 0;
  try {
    await insertBytes(client, { table: 'events', columns: EVENT_COLUMNS, token, lines: Buffer.concat(lines) });
    return lines.length;
  } catch (error) {
    if (!isBadLine(error)) throw error;
    if (lines.length === 1) return 0;
  }
  const middle = lines.length >> 1;
  const first = await insertOrHalve(client, `${token}/0`, lines.slice(0, middle));
  return first + await insertOrHalve(client, `${token}/1`, lines.slice(middle));
}

/** The keys that the store reads, with types that it can take. */
function isEventLine(line: Buffer): boolean {
  const value = parseJson(line.toString('utf8'));
  if (typeof value !== 'object' || value === null) return false;
  const event = value as Readonly<Record<string, unknown>>;
  const isText = (name: string): boolean => typeof event[name] === 'string';
  const isTextOrNull = (name: string): boolean => isText(name) || event[name] === null;
  return Number.isInteger(event['timestamp']) && Number(event['timestamp']) >= 0 && isUInt32(event['pid'])
    && isText('source') && isText('comm') && isText('id') && isTextOrNull('process') && isTextOrNull('session')
    && typeof event['data'] === 'object' && event['data'] !== null;
}

function isUInt32(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function splitLines(lines: Buffer): Buffer[] {
  const result: Buffer[] = [];
  for (let start = 0; start < lines.length;) {
    const newline = lines.indexOf(NEWLINE, start);
    const end = newline === -1 ? lines.length : newline + 1;
    if (hasText(lines, start, end)) result.push(newline === -1 ? Buffer.concat([lines.subarray(start, end), Buffer.from('\n')]) : lines.subarray(start, end));
    start = end;
  }
  return result;
}

/** Lines that are not empty. */
export function countLines(lines: Buffer): number {
  let count = 0;
  for (let start = 0; start < lines.length;) {
    const newline = lines.indexOf(NEWLINE, start);
    const end = newline === -1 ? lines.length : newline;
    if (end > start) count += 1;
    start = end + 1;
  }
  return count;
}

function hasText(lines: Buffer, start: number, end: number): boolean {
  return end - start > 1 || lines[start] !== NEWLINE;
}
