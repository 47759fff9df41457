/** Secrets in a command line: by the option before them, or by what they are themselves. */
import { maskRanges, type SecretRange } from './find.ts';
import { rangesInHeader, rangesInText } from './locate.ts';
import { secretOfProgram } from './programs.ts';
import { COOKIE_OPTION, HEADER_OPTION, SECRET_OPTION, SOURCE_OPTION, USER_OPTION } from './rules.ts';

/** The same list, without its secrets. */
export function maskCommand(argv: readonly string[]): readonly string[] {
  return argv.map((argument, index) => maskRanges(argument, rangesInArgument(argv, index)));
}

/** The name of a program is no option. */
function optionBefore(argv: readonly string[], index: number): string {
  return index > 1 ? argv[index - 1] ?? '' : '';
}

export function rangesInArgument(argv: readonly string[], index: number): readonly SecretRange[] {
  const argument = argv[index] ?? '';
  const option = optionBefore(argv, index);
  if (SECRET_OPTION.test(option)) return [{ start: 0, end: argument.length }];
  const colon = argument.indexOf(':');
  // Digits on both sides are a user and a group, as of docker.
  if (colon > 0 && USER_OPTION.test(option) && !/^\d+:\d+$/.test(argument)) return [{ start: colon + 1, end: argument.length }];
  if (SOURCE_OPTION.test(option) && argument.startsWith('pass:')) return [{ start: colon + 1, end: argument.length }];
  const own = secretOfProgram(argv, index);
  if (own >= 0) return [{ start: own, end: argument.length }];
  const equals = argument.indexOf('=');
  if (equals > 0 && COOKIE_OPTION.test(option)) return [{ start: equals + 1, end: argument.length }];
  if (colon > 0 && HEADER_OPTION.test(option)) {
    const ranges = rangesInHeader(argument.slice(0, colon), argument.slice(colon + 1));
    return ranges.map(({ start, end }) => ({ start: start + colon + 1, end: end + colon + 1 }));
  }
  return rangesInText(argument);
}
