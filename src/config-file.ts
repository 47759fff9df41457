/**
 * Reads the config file, or says why it may not be used. What its keys mean is
 * in config-schema.ts.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { AgentsightError, causeText, errnoOf } from './errors.ts';
import type { User } from './user.ts';

/** A config file holds ten settings; a longer one is something else. */
const CONFIG_BYTES_MAX = 64 * 1024;

export interface ConfigFile {
  readonly path: string;
  /** What JSON.parse made of it. */
  readonly content: unknown;
}

export interface ConfigFileRequest {
  readonly path: string;
  /** It was named, so it must be there. */
  readonly required: boolean;
  readonly user: User;
}

/** Undefined where an optional file is not there. */
export async function readConfigFile(request: ConfigFileRequest): Promise<ConfigFile | undefined> {
  const { path } = request;
  const text = await readText(request);
  if (text === undefined) return undefined;
  try {
    return { path, content: JSON.parse(text) as unknown };
  } catch {
    // JSON.parse quotes the text in its message; under sudo that text need not be the user's to see.
    throw invalidConfigFile(path, 'it is not valid JSON', 'check its commas and quotes, for example with `python3 -m json.tool`');
  }
}

async function readText({ path, required, user }: ConfigFileRequest): Promise<string | undefined> {
  try {
    // O_NONBLOCK: a FIFO in its place must not hold us for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const facts = await file.stat();
      if (!facts.isFile()) throw invalidConfigFile(path, 'it is not a regular file');
      if (facts.size > CONFIG_BYTES_MAX) throw invalidConfigFile(path, `it is longer than ${CONFIG_BYTES_MAX} bytes`);
      // Under sudo the path is the user's to choose: only the user's own file, or root's for root, may speak through it.
      if (process.getuid?.() === 0 && user.uid !== 0 && facts.uid !== user.uid) {
        throw invalidConfigFile(path, `it does not belong to ${user.name}`, `chown ${user.name} ${path}`);
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof AgentsightError) throw cause;
    const absent = errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR';
    if (absent && !required) return undefined;
    // A folder of another user above an optional file means that there is none for us.
    if (errnoOf(cause) === 'EACCES' && !required) return undefined;
    throw invalidConfigFile(path, causeText(cause));
  }
}

export function invalidConfigFile(path: string, why: string, hint?: string): AgentsightError {
  return new AgentsightError('CONFIG_INVALID', `could not use the config file ${path}: ${why}`, { hint });
}
