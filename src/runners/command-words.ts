/**
 * What a command line starts besides its own program, as far as its words tell:
 * `env X=1 node a.js`, `timeout 5 node a.js`, `sh -c 'cd x && node a.js'`.
 *
 * Shell text is not parsed: it is cut at the signs between commands, quoted or
 * not, and what begins with an expansion is passed over. A wrong guess is a name
 * that leads to no file, or a file that is looked at for nothing.
 */
import { basename } from 'node:path';

export type Words = readonly string[];

/** A program that runs the program behind its own options. */
interface Wrapper {
  /** Options whose value is the next word: letters, and long names. */
  readonly valued: string;
  readonly valuedLong?: readonly string[];
  /** Words of its own before the program. */
  readonly operands?: number;
}

const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  env: { valued: 'uC', valuedLong: ['--unset', '--chdir'] },
  sudo: { valued: 'ugCDhpRrTtU', valuedLong: ['--user', '--group', '--chdir', '--host', '--prompt', '--chroot'] },
  doas: { valued: 'uC' },
  nice: { valued: 'n', valuedLong: ['--adjustment'] },
  ionice: { valued: 'cn', valuedLong: ['--class', '--classdata'] },
  taskset: { valued: '', operands: 1 },
  timeout: { valued: 'ks', valuedLong: ['--kill-after', '--signal'], operands: 1 },
  time: { valued: 'fo', valuedLong: ['--format', '--output'] },
  stdbuf: { valued: 'ioe', valuedLong: ['--input', '--output', '--error'] },
  nohup: { valued: '' },
  setsid: { valued: '' },
  exec: { valued: 'a' },
  command: { valued: '' },
};
const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash']);

const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;
const BETWEEN_COMMANDS = /[\n;&|()]+/;
const SHELL_WORDS: ReadonlySet<string> = new Set(['if', 'then', 'elif', 'else', 'while', 'until', 'do', '!', '{']);
/** The arguments after the text, `$0` left out. */
const ALL_ARGUMENTS: ReadonlySet<string> = new Set(['$@', '$*']);
const EXPANSION = /[$`*?~]/;
/** Of one shell text; behind them there may be a whole program. */
const SHELL_COMMANDS = 32;

/** The command lines that this one starts directly. */
export function startedBy([program = '', ...args]: Words): Words[] {
  const name = basename(program);
  if (SHELLS.has(name)) return shellCommands(args);
  const wrapper = WRAPPERS[name];
  if (wrapper === undefined) return [];
  return nonEmpty([afterOptions(name === 'env' ? splitStrings(args) : args, wrapper)]);
}

function afterOptions(args: Words, { valued, valuedLong = [], operands = 0 }: Wrapper): Words {
  let at = 0;
  for (; args[at]?.startsWith('-'); at++) {
    const option = args[at] ?? '';
    if (option === '--') {
      at++;
      break;
    }
    if (option.startsWith('--') ? valuedLong.includes(option) : endsInValued(option, valued)) at++;
  }
  while (ASSIGNMENT.test(args[at] ?? '')) at++;
  return args.slice(at + operands);
}

/** `-n 5` and `-in 5`, not `-n5`. */
function endsInValued(option: string, valued: string): boolean {
  const first = [...option].findIndex((letter, index) => index > 0 && valued.includes(letter));
  return first === option.length - 1;
}

/** `env -S 'node --flag'`: the text is words of the command line. */
function splitStrings(args: Words): Words {
  const at = args.findIndex((word) => word === '-S' || word === '--split-string' || word.startsWith('--split-string='));
  if (at === -1) return args;
  const [option = '', next = ''] = args.slice(at);
  const isJoined = option.includes('=');
  const text = isJoined ? option.slice(option.indexOf('=') + 1) : next;
  return [...args.slice(0, at), ...text.split(/\s+/), ...args.slice(at + (isJoined ? 1 : 2))];
}

function shellCommands(args: Words): Words[] {
  let hasText = false;
  let at = 0;
  for (; /^[-+]./.test(args[at] ?? ''); at++) {
    const option = args[at] ?? '';
    if (option.startsWith('--')) continue;
    if (option.startsWith('-') && option.includes('c')) hasText = true;
    if (option.endsWith('o')) at++;
  }
  if (!hasText) return [];
  const rest = args.slice(at + 2);
  const commands = (args[at] ?? '').split(BETWEEN_COMMANDS).slice(0, SHELL_COMMANDS);
  return nonEmpty(commands.map((command) => simpleCommand(command, rest)));
}

function simpleCommand(text: string, rest: Words): Words {
  const words = text.split(/\s+/).map(unquoted).filter((word) => word !== '');
  const start = words.findIndex((word) => !SHELL_WORDS.has(word) && !ASSIGNMENT.test(word));
  const command = start === -1 ? [] : words.slice(start).flatMap((word) => (ALL_ARGUMENTS.has(word) ? rest : [word]));
  return EXPANSION.test(command[0] ?? '') ? [] : command;
}

function unquoted(word: string): string {
  return /^(["']).*\1$/.test(word) ? word.slice(1, -1) : word;
}

function nonEmpty(commands: readonly Words[]): Words[] {
  return commands.filter((words) => words.length > 0);
}
