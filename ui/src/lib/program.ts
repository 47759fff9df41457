/**
 * A command line as people call it: `node /opt/x/agent.mjs run` is `node
 * agent.mjs run`. The whole of it is in the tooltip and the inspector.
 */
import { baseName } from './format.ts';

export interface ProgramLabel {
  readonly name: string;
  /** What the program is told, the script of an interpreter first. */
  readonly rest: string;
}

const INTERPRETER = /^(node|nodejs|deno|bun|tsx|python[\d.]*|pypy[\d.]*|ruby|perl|php|bash|sh|dash|zsh|java)$/;
/** Options of interpreters that take the next argument as their value. */
const VALUED = new Set(['-r', '--require', '--import', '--loader', '--experimental-loader', '--env-file', '-C', '--conditions', '-W', '-X', '-I', '-cp', '-classpath', '--title']);
/** After these the program is in the argument itself, or is a module's name: kept as they are. */
const INLINE = new Set(['-c', '-e', '-p', '-m', '--eval', '--print', '-jar', '-lc', '-ic', '-ec']);
/** More than a row shows. */
const REST_CHARS = 400;

export function programLabel(whole: readonly string[], fallback: string): ProgramLabel {
  const argv = withoutEnv(whole);
  // Some programs write their whole title into the first argument.
  const [title = '', ...titled] = (argv[0] ?? '').split(' ');
  const name = baseName(title.replace(/^-/, ''));
  if (name === '') return { name: fallback, rest: '' };
  const rest = [...titled, ...argv.slice(1)];
  return { name, rest: (INTERPRETER.test(name) ? fromScript(rest) : rest).map(shortened).join(' ').slice(0, REST_CHARS) };
}

/** Scripts name `/usr/bin/env node` as their interpreter; only its options are not passed over. */
function withoutEnv(argv: readonly string[]): readonly string[] {
  if (baseName(argv[0] ?? '') !== 'env') return argv;
  const at = argv.findIndex((word, index) => index > 0 && !/^[A-Za-z_]\w*=/.test(word));
  return at < 0 || argv[at]?.startsWith('-') === true ? argv : argv.slice(at);
}

/** `agent.mjs run` of `--import /x/hook.mjs /opt/x/agent.mjs run`. */
function fromScript(rest: readonly string[]): readonly string[] {
  for (let index = 0; index < rest.length; index += 1) {
    const word = rest[index] as string;
    if (INLINE.has(word)) return rest.slice(index);
    if (VALUED.has(word)) index += 1;
    else if (!word.startsWith('-')) return [baseName(word), ...rest.slice(index + 1)];
  }
  return rest;
}

const PATH_CHARS = 28;

/** A long absolute path keeps its end, which is what tells it apart. */
function shortened(word: string): string {
  if (word.length <= PATH_CHARS || !/^\/[^\s;|&<>$'"]+$/.test(word)) return word;
  return `…/${word.split('/').slice(-2).join('/').slice(-PATH_CHARS)}`;
}
