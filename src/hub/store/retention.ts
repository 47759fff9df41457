/**
 * Keeps the store within its size and age. The oldest parts go first: by day,
 * and within a day by when they were written, which is why merges stop at a
 * sixteenth of the limit (engine/config.ts): else one part would be all.
 */
import type { ClickHouseClient } from '@clickhouse/client';
import { select } from './client.ts';

export interface RetentionLimits {
  readonly bytes: number;
  readonly days: number;
}

export interface Part {
  readonly name: string;
  /** `2025-11-20` */
  readonly day: string;
  readonly rows: number;
  readonly bytes: number;
  /** When it was written or merged, epoch seconds. */
  readonly written: number;
}

interface PartRow {
  readonly name: string;
  readonly partition: string;
  readonly rows: string;
  readonly bytes: string;
  readonly written: string;
}

const DAY_SECONDS = 86_400;

/** Oldest first. */
export async function listParts(client: ClickHouseClient): Promise<readonly Part[]> {
  const rows = await select<PartRow>(client, `
SELECT name, partition, toString(rows) AS rows, toString(bytes_on_disk) AS bytes, toString(toUnixTimestamp(modification_time)) AS written
FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events'
ORDER BY partition, min_block_number`);
  return rows.map((row) => ({
    name: row.name,
    day: row.partition,
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    written: Number(row.written),
  }));
}

/**
 * Which parts must go. By age only what was also written more than a day ago: an
 * old capture that was replayed just now is there to be looked at.
 */
export function expiredParts(parts: readonly Part[], limits: RetentionLimits, nowSeconds: number): readonly Part[] {
  const firstDay = new Date((nowSeconds - limits.days * DAY_SECONDS) * 1000).toISOString().slice(0, 10);
  const expired = new Set(parts.filter((part) => part.day < firstDay && part.written < nowSeconds - DAY_SECONDS));
  let bytes = sum(parts) - sum(expired);
  for (const part of parts) {
    if (bytes <= limits.bytes) break;
    if (expired.has(part)) continue;
    expired.add(part);
    bytes -= part.bytes;
  }
  return [...expired];
}

export async function dropPart(client: ClickHouseClient, part: Part): Promise<void> {
  await client.command({ query: `ALTER TABLE events DROP PART '${part.name.replaceAll("'", '')}'` });
}

function sum(parts: Iterable<Part>): number {
  let bytes = 0;
  for (const part of parts) bytes += part.bytes;
  return bytes;
}
