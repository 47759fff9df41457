/**
 * The files that a command will run as: the file itself and, for a script, the
 * interpreter of its first line, also through `env`. They are hooked before the
 * command begins, so that a short program is not over before its hooks are in.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { AgentsightError } from '../errors.ts';
import { startedBy, type Words } from './command-words.ts';
import { resolveCommand, type CommandPlace, type LaunchOptions } from './launch.ts';
import { readLink, readVariable } from './proc.ts';
import type { LinkerPlace } from './tls-needed.ts';

export type { CommandPlace };

/** BINPRM_BUF_SIZE: the kernel looks no further for the end of the line. */
const SHEBANG_BYTES = 256;
/** The kernel follows interpreters of interpreters no deeper. */
const MAX_DEPTH = 4;

const LIBRARY_PATH = 'LD_LIBRARY_PATH';

/** Command lines that are followed from one launched command. */
const MAX_COMMANDS = 64;

/** Its own file, and those of the programs that its words say it starts. */
export function filesOfLaunch({ command, args }: LaunchOptions, place: CommandPlace): string[] {
  const files = new Set<string>();
  const commands: Words[] = [[command, ...args]];
  for (let at = 0; at < Math.min(commands.length, MAX_COMMANDS); at++) {
    const words = commands[at] ?? [];
    for (const file of commandFiles(words[0] ?? '', place)) files.add(file);
    commands.push(...startedBy(words));
  }
  return [...files];
}

/** Where the command looks for programs: what its holder gave it, where that is somebody else. */
export function placeOfLaunch({ cwd = process.cwd(), env = process.env, held }: LaunchOptions): CommandPlace {
  return (held === undefined ? null : placeOfProcess(held.pid)) ?? { cwd, env };
}

export function placeOfProcess(pid: number): CommandPlace | null {
  const cwd = readLink(`/proc/${pid}/cwd`);
  const path = readVariable(pid, 'PATH');
  const libraries = readVariable(pid, LIBRARY_PATH);
  return cwd === null || path === null ? null : { cwd, env: { PATH: path, ...(libraries === null ? {} : { [LIBRARY_PATH]: libraries }) } };
}

export function linkerPlaceOf({ cwd, env }: CommandPlace): LinkerPlace {
  return { cwd, libraryPath: env[LIBRARY_PATH] ?? null };
}

export function commandFiles(command: string, place: CommandPlace): string[] {
  const files: string[] = [];
  let next: string | null = command;
  for (let depth = 0; next !== null && depth <= MAX_DEPTH; depth++) {
    const file = resolveOrNull(next, place);
    if (file === null) break;
    files.push(file);
    const words = interpreterWords(file);
    const [interpreter] = words;
    if (interpreter === undefined) break;
    next = basename(interpreter) === 'env' ? programOfEnv(words) : interpreter;
  }
  return files;
}

/** The file that execvp would run, or null. */
export function resolveOrNull(command: string, place: CommandPlace): string | null {
  try {
    return resolveCommand(command, place);
  } catch (error) {
    if (error instanceof AgentsightError) return null;
    throw error;
  }
}

function interpreterWords(file: string): string[] {
  const head = readHead(file);
  if (!head.startsWith('#!')) return [];
  const [line = ''] = head.slice(2).split('\n', 1);
  return line.trim().split(/\s+/).filter((word) => word !== '');
}

/** `env -S node --flag` and `env NAME=value node` both run node. */
function programOfEnv(words: readonly string[]): string | null {
  return words.slice(1).find((word) => !word.startsWith('-') && !word.includes('=')) ?? null;
}

function readHead(file: string): string {
  const bytes = Buffer.alloc(SHEBANG_BYTES);
  try {
    const fd = openSync(file, 'r');
    try {
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, SHEBANG_BYTES, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}
