/** Flags of operations on files, by name. close-on-exec and its like say nothing about the file. */
import { constants } from 'node:fs';

const O_ACCMODE = 3;
/** Of all machines alike, and unknown to Node. */
const O_PATH = 0o10000000;
const O_TMPFILE = 0o20000000;
const AT_SYMLINK_NOFOLLOW = 0x100;

const OPEN_FLAGS: readonly (readonly [number, string])[] = [
  [constants.O_CREAT, 'create'],
  [constants.O_EXCL, 'exclusive'],
  [constants.O_TRUNC, 'truncate'],
  [constants.O_APPEND, 'append'],
  [O_TMPFILE, 'tmpfile'],
  [constants.O_DIRECTORY, 'directory'],
  [constants.O_NOFOLLOW, 'nofollow'],
  [constants.O_SYNC, 'sync'],
];
const RENAME_FLAGS = ['no-replace', 'exchange', 'whiteout'] as const;

const openNames = new Map<number, readonly string[]>();

/** There are few combinations: each is named once. A program may try all of them. */
const COMBINATIONS_MAX = 1024;

export function openFlagNames(flags: number): readonly string[] {
  const known = openNames.get(flags);
  if (known !== undefined) return known;
  if (openNames.size >= COMBINATIONS_MAX) openNames.clear();
  const names = nameOpenFlags(flags);
  openNames.set(flags, names);
  return names;
}

function nameOpenFlags(flags: number): readonly string[] {
  const access = (flags & O_PATH) !== 0 ? 'path' : ACCESS[flags & O_ACCMODE] ?? 'read-write';
  // O_TMPFILE holds the bit of O_DIRECTORY, O_SYNC that of O_DSYNC, which is asked for alone as well.
  const has = (bits: number): boolean => (bits === constants.O_SYNC ? (flags & bits) !== 0 : (flags & bits) === bits);
  return [access, ...OPEN_FLAGS.flatMap(([bits, name]) => (has(bits) ? [name] : []))];
}

const ACCESS = ['read', 'write', 'read-write'] as const;

/** Whether the call gave the permission bits of a file that it may make. */
export function opensWithMode(flags: number): boolean {
  return (flags & (constants.O_CREAT | O_TMPFILE)) !== 0;
}

export function renameFlagNames(flags: number): readonly string[] {
  return RENAME_FLAGS.filter((_name, bit) => (flags & (1 << bit)) !== 0);
}

export function atFlagNames(atFlags: number): readonly string[] {
  return (atFlags & AT_SYMLINK_NOFOLLOW) !== 0 ? ['nofollow'] : [];
}
