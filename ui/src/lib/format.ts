/** Numbers and names as people read them. Pure; the locale decides separators only. */

const integer = new Intl.NumberFormat();

export function formatCount(value: number): string {
  return integer.format(value);
}

/** `1 event`, `2 events`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 'B';
  for (const next of units) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${trimmed(value)} ${unit}`;
}

/** Three digits that matter: `812 ns`, `4.21 ms`, `12.8 s`, `17m 29s`, `3h 04m`. */
export function formatDuration(ns: number): string {
  const size = Math.abs(ns);
  const sign = ns < 0 ? '-' : '';
  if (size < 1e3) return `${sign}${Math.round(size)} ns`;
  if (size < 999.5e3) return `${sign}${trimmed(size / 1e3)} µs`;
  if (size < 999.5e6) return `${sign}${trimmed(size / 1e6)} ms`;
  if (size < 59.95e9) return `${sign}${trimmed(size / 1e9)} s`;
  const seconds = Math.round(size / 1e9);
  if (seconds < 3600) return `${sign}${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  if (seconds < 86_400) return `${sign}${Math.floor(seconds / 3600)}h ${pad(Math.floor(seconds / 60) % 60)}m`;
  return `${sign}${Math.floor(seconds / 86_400)}d ${Math.floor(seconds / 3600) % 24}h`;
}

export function formatMs(ms: number | null): string {
  return ms === null ? '–' : formatDuration(ms * 1e6);
}

/** Local clock time to the millisecond, as in the event list. */
export function formatClock(date: Date): string {
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(':');
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

export function formatDateTime(date: Date): string {
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join('-');
  return `${day} ${formatClock(date)}`;
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1) || path;
}

/** The command line as a shell would take it back. */
export function shellQuote(text: string): string {
  if (text !== '' && /^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function commandLine(argv: readonly string[]): string {
  return argv.map(shellQuote).join(' ');
}

/** One line without control characters, cut with an ellipsis. */
export function oneLine(text: string, limit: number): string {
  const flat = text.slice(0, limit * 2).replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return flat.length > limit ? `${flat.slice(0, limit - 1)}…` : flat;
}

function trimmed(value: number): string {
  const text = value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
