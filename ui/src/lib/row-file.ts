/** What a row says of a file event: the path first, then how often, how much, or why not. */
import { baseName, formatBytes, plural } from './format.ts';
import { type Data, number, text, textOrNull, texts } from './read.ts';
import type { Summary } from './row.ts';

export function summariseFile(data: Data): Summary {
  const kind = text(data, 'event');
  const path = text(data, 'path');
  if (kind === 'IO') {
    const parts = [
      number(data, 'read_calls') > 0 ? `read ${formatBytes(number(data, 'read_bytes'))} in ${plural(number(data, 'read_calls'), 'call')}` : '',
      number(data, 'write_calls') > 0 ? `wrote ${formatBytes(number(data, 'written_bytes'))} in ${plural(number(data, 'write_calls'), 'call')}` : '',
    ];
    return {
      kind, title: path, note: parts.filter((part) => part !== '').join(' · '),
      bytes: number(data, 'read_bytes') + number(data, 'written_bytes'),
    };
  }
  const target = textOrNull(data, 'target');
  const error = textOrNull(data, 'error');
  const count = number(data, 'count');
  return {
    kind,
    title: target === null ? path : `${path} → ${baseName(target) === baseName(path) ? target : relativeTo(target, path)}`,
    note: [error ?? '', data['created'] === true ? 'created' : '', texts(data, 'flags').join(' '), count > 1 ? `${count} times` : '']
      .filter((part) => part !== '').join(' · '),
    // Looking for a file that is not there is how programs search: said, not shouted.
    tone: error === null || error === 'ENOENT' ? 'plain' : 'warn',
  };
}

/** A rename within one folder is read by its names alone. */
function relativeTo(target: string, path: string): string {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const name = target.slice(folder.length);
  return folder !== '' && target.startsWith(folder) && !name.includes('/') ? name : target;
}
