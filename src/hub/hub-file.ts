/**
 * hub.json: where the running hub of a data directory is. Written whole or not
 * at all, readable by its owner alone because it holds the token.
 */
import { closeSync, constants, fstatSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { dataPaths } from '../paths.ts';

const hubFileSchema = z.object({
  pid: z.int().positive(),
  port: z.int().positive(),
  /** Page address with its token. */
  url: z.string(),
  version: z.string(),
  protocol: z.int(),
  /** Random id of this run. */
  hub: z.string(),
  /** Where collectors connect. */
  socket: z.string(),
});
export type HubFile = z.infer<typeof hubFileSchema>;

const SIZE_MAX_BYTES = 64 * 1024;

export function writeHubFile(dataDir: string, file: HubFile): void {
  const path = dataPaths(dataDir).hubFile;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

/** Removes it only while it is ours. */
export function removeHubFile(dataDir: string, pid: number): void {
  if (readHubFile(dataDir)?.pid === pid) rmSync(dataPaths(dataDir).hubFile, { force: true });
}

/** null when there is none, or none that `uid` wrote: root must not follow a file that another user put there. */
export function readHubFile(dataDir: string, uid?: number): HubFile | null {
  const text = readOwned(dataPaths(dataDir).hubFile, uid, SIZE_MAX_BYTES);
  if (text === null) return null;
  try {
    return hubFileSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Text of a regular file that is no link, of `uid` when given; its end when it is longer than the limit. */
export function readOwned(path: string, uid: number | undefined, limitBytes: number): string | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const facts = fstatSync(descriptor);
    if (!facts.isFile() || (uid !== undefined && facts.uid !== uid)) return null;
    const start = Math.max(facts.size - limitBytes, 0);
    const text = Buffer.alloc(Math.min(facts.size, limitBytes));
    return text.toString('utf8', 0, readSync(descriptor, text, 0, text.length, start));
  } finally {
    closeSync(descriptor);
  }
}
