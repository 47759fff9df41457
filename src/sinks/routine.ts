/**
 * What a reader of the terminal is spared unless he asks for it: files that are
 * only read, and looked for where they are not. A program that starts does that
 * some fifty times before it does anything. Files and the hub get all of it.
 */
import type { Event, FileData } from '../event.ts';

const LOOKED_FOR_IN_VAIN = ['ENOENT', 'ENOTDIR'];
const CHANGES_SOMETHING = ['write', 'read-write', 'create', 'truncate', 'tmpfile'];

export function isRoutine(event: Event): boolean {
  return event.source === 'file' && isReading(event.data);
}

function isReading(data: FileData): boolean {
  if (data.event === 'IO') return data.write_calls === 0;
  if (data.event !== 'OPEN' || data.flags.some((flag) => CHANGES_SOMETHING.includes(flag))) return false;
  return data.error === null || LOOKED_FOR_IN_VAIN.includes(data.error);
}
