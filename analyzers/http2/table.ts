/**
 * The tables of HPACK (RFC 7541 §2.3), of one direction. Indexes count from the
 * newest entry, so a table that was joined in its middle, or that lost a head, is
 * right about what was added since; what is older is unknown.
 */
import type { SecretMarks } from '../../src/event.ts';
import type { Budget } from '../http/options.ts';

/** null: not known. An entry's name is known when its value is. */
export interface Field {
  readonly name: string | null;
  readonly value: string | null;
  /** What was masked in it. */
  readonly secrets?: SecretMarks;
}

export const UNKNOWN: Field = { name: null, value: null };

/** Appendix A; a name without a value ends at its comma. */
const STATIC: readonly Field[] = (
  ':authority,|:method,GET|:method,POST|:path,/|:path,/index.html|:scheme,http|:scheme,https|:status,200|:status,204|:status,206'
  + '|:status,304|:status,400|:status,404|:status,500|accept-charset,|accept-encoding,gzip, deflate|accept-language,|accept-ranges,'
  + '|accept,|access-control-allow-origin,|age,|allow,|authorization,|cache-control,|content-disposition,|content-encoding,'
  + '|content-language,|content-length,|content-location,|content-range,|content-type,|cookie,|date,|etag,|expect,|expires,|from,'
  + '|host,|if-match,|if-modified-since,|if-none-match,|if-range,|if-unmodified-since,|last-modified,|link,|location,|max-forwards,'
  + '|proxy-authenticate,|proxy-authorization,|range,|referer,|refresh,|retry-after,|server,|set-cookie,|strict-transport-security,'
  + '|transfer-encoding,|user-agent,|vary,|via,|www-authenticate,'
).split('|').map((line) => ({ name: line.slice(0, line.indexOf(',')), value: line.slice(line.indexOf(',') + 1) }));

const FIRST_CAPACITY = 4096;
/** What §4.1 adds to the bytes of an entry. */
const ENTRY_BYTES = 32;

export interface Table {
  /** Oldest first; those before `first` are gone. */
  entries: Field[];
  first: number;
  bytes: number;
  /** As the sender set it, when that is known. */
  capacity: number;
  /** Nothing that the sender can still refer to is missing. */
  whole: boolean;
  readonly limit: number;
  /** Bytes of all tables. */
  readonly budget: Budget;
}

export function createTable(limit: number, budget: Budget, whole: boolean): Table {
  return { entries: [], first: 0, bytes: 0, capacity: whole ? FIRST_CAPACITY : limit, whole, limit, budget };
}

/** null when there is no such entry and never was. */
export function lookUp(table: Table, index: number): Field | null {
  if (index <= STATIC.length) return STATIC[index - 1] ?? null;
  const at = table.entries.length - (index - STATIC.length);
  if (at >= table.first) return table.entries[at] as Field;
  return table.whole ? null : UNKNOWN;
}

/**
 * A mask makes a value shorter than the sender knows it: then entries stay longer than his, which
 * harms nothing. Where a bound of our own makes them go earlier, what he still has is unknown.
 */
export function insert(table: Table, field: Field): void {
  const { budget } = table;
  const size = sizeOf(field);
  const room = Math.min(table.capacity, table.limit);
  const fits = (): boolean => table.bytes + size <= room && budget.used + size <= budget.limit;
  while (!fits() && table.first < table.entries.length) {
    if (table.bytes + size <= table.capacity) table.whole = false;
    evict(table);
  }
  if (!fits()) {
    if (size <= table.capacity) table.whole = false;
    return;
  }
  table.entries.push(field);
  table.bytes += size;
  budget.used += size;
}

export function resize(table: Table, capacity: number): void {
  table.capacity = capacity;
  while (table.bytes > capacity && table.first < table.entries.length) evict(table);
  // An emptied table is known, however it was before.
  if (capacity === 0) table.whole = true;
}

/** Entries were added that we did not see: nothing that is older can be told apart. */
export function loseEntries(table: Table): void {
  while (table.first < table.entries.length) evict(table);
  table.whole = false;
  table.capacity = table.limit;
}

function evict(table: Table): void {
  const size = sizeOf(table.entries[table.first] as Field);
  table.first++;
  table.bytes -= size;
  table.budget.used -= size;
  if (table.first < 64 || table.first * 2 < table.entries.length) return;
  table.entries = table.entries.slice(table.first);
  table.first = 0;
}

function sizeOf({ name, value }: Field): number {
  return (name?.length ?? 0) + (value?.length ?? 0) + ENTRY_BYTES;
}
