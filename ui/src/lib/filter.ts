/**
 * The filter field: words that must all occur, `key:value` pairs, and a minus
 * before either to exclude. Keys: source, pid, comm, kind, status, is
 * (`is:error`). An empty filter shows everything. What holds an operator outside of quotes is an
 * expression (`expression.ts`), and the hub says what fits it.
 */
import { ROW_SOURCES, type Row, type RowSource } from './row.ts';

export interface Filter {
  readonly text: string;
  /** Sources shown; null means all. */
  readonly sources: ReadonlySet<RowSource> | null;
  readonly empty: boolean;
  readonly matches: (row: Row) => boolean;
}

type Test = (row: Row) => boolean;

export function compileFilter(text: string, sources: ReadonlySet<RowSource> | null): Filter {
  const tests = words(text).map(toTest);
  const matches = (row: Row): boolean => {
    if (sources !== null && !sources.has(row.source)) return false;
    return tests.every((test) => test(row));
  };
  return { text, sources, empty: tests.length === 0 && sources === null, matches };
}

/** Of an expression: those with these ids; while it cannot be read, all. */
export function filterByIds(text: string, sources: ReadonlySet<RowSource> | null, ids: ReadonlySet<string> | null): Filter {
  return { text, sources, empty: false, matches: (row) => (sources === null || sources.has(row.source)) && (ids === null || ids.has(row.id)) };
}

/** `a "b c"` is two words. */
export function words(text: string): string[] {
  return [...text.matchAll(/(-?[\w-]*:?"[^"]*"?|\S+)/g)].map((match) => match[0].replaceAll('"', '')).filter((word) => word !== '' && word !== '-');
}

function toTest(word: string): Test {
  if (word.startsWith('-') && word.length > 1) {
    const test = toTest(word.slice(1));
    return (row) => !test(row);
  }
  const colon = word.indexOf(':');
  const key = colon > 0 ? word.slice(0, colon).toLowerCase() : '';
  const value = word.slice(colon + 1).toLowerCase();
  switch (key) {
    case 'source': return (row) => row.source.startsWith(value);
    case 'pid': return (row) => String(row.pid) === value;
    case 'comm': return (row) => row.comm.toLowerCase().includes(value);
    case 'kind': return (row) => row.kind.toLowerCase() === value;
    case 'status': return (row) => row.source === 'http' && row.note.toLowerCase().startsWith(value);
    case 'is': return (row) => row.tone === value || (value === 'error' && row.tone === 'warn');
    default: return containing(word.toLowerCase());
  }
}

function containing(word: string): Test {
  return (row) =>
    row.title.toLowerCase().includes(word) ||
    row.comm.toLowerCase().includes(word) ||
    row.kind.toLowerCase().includes(word) ||
    row.note.toLowerCase().includes(word);
}

/** `http,sse` to a set; unknown names are dropped, nothing left means all. */
export function parseSources(list: string | null): ReadonlySet<RowSource> | null {
  if (list === null) return null;
  const known = list.split(',').filter((name): name is RowSource => (ROW_SOURCES as readonly string[]).includes(name));
  return known.length === 0 ? null : new Set(known);
}
