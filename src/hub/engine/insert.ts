/**
 * Recognises `INSERT INTO t (columns) FORMAT f`, the only form whose data the
 * engine takes as bytes. Anything else goes to it as text.
 */

/** Formats that chdb reads from bytes; the other ones would pass through a UTF-8 string. */
const BYTE_FORMATS = [
  'JSONEachRow', 'JSONCompactEachRow', 'CSV', 'CSVWithNames',
  'TSV', 'TabSeparated', 'TSVWithNames', 'TabSeparatedWithNames',
] as const;
export type ByteFormat = (typeof BYTE_FORMATS)[number];

export interface ByteInsert {
  readonly table: string;
  readonly columns: readonly string[] | null;
  readonly format: ByteFormat;
}

const NAME = '(?:[A-Za-z_][\\w]*|`[^`\\\\]+`)';
const INSERT = new RegExp(
  `^\\s*INSERT\\s+INTO\\s+(?:TABLE\\s+)?(${NAME}(?:\\.${NAME})?)\\s*(?:\\(([^()]*)\\))?\\s*FORMAT\\s+(\\w+)\\s*;?\\s*$`,
  'i',
);
const COLUMN = new RegExp(`^${NAME}$`);

/** null when the statement has another form. */
export function parseByteInsert(sql: string): ByteInsert | null {
  const match = INSERT.exec(sql);
  const table = match?.[1];
  const format = BYTE_FORMATS.find((name) => name === match?.[3]);
  if (table === undefined || format === undefined) return null;
  const list = match?.[2];
  if (list === undefined) return { table: unquote(table), columns: null, format };
  const columns = list.split(',').map((column) => column.trim());
  if (!columns.every((column) => COLUMN.test(column))) return null;
  return { table: unquote(table), columns: columns.map(unquote), format };
}

function unquote(name: string): string {
  return name.replaceAll('`', '');
}
