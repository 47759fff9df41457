/** Options that are followed by a secret for some programs only. */
import { bordered } from './border.ts';

interface Option {
  readonly program: RegExp;
  readonly option: RegExp;
  /** Of the value, what is no secret. */
  readonly user?: RegExp;
  /** The value may be the next argument. */
  readonly isApart: boolean;
}

interface ProgramOption {
  /** All before the secret, in the line of a shell. */
  readonly inText: RegExp;
  readonly name: RegExp;
  /** The argument before the secret's; null where both are one. */
  readonly before: RegExp | null;
  /** What of an argument is before the secret: after its option, or alone. */
  readonly own: RegExp;
  readonly alone: RegExp;
}

const OPTIONS: readonly Option[] = [
  { program: /curl/, option: /-[a-zA-Z#]{0,8}u/, user: /[^\s:"'/@]{1,64}:/, isApart: true },
  // Apart from its option it would be the name of a database.
  { program: /(?:mysql(?:dump|admin|import|show)?|mariadb(?:-dump|-admin)?)/, option: /-p/, isApart: false },
  { program: /sshpass/, option: /-p/, isApart: true },
];

export const PROGRAMS: readonly ProgramOption[] = OPTIONS.map(({ program, option, user, isApart }) => {
  const start = user?.source ?? '';
  const gap = isApart ? String.raw`[ \t=]{0,8}["']?` : '';
  return {
    // To the end of the command, or of the text that it is quoted in.
    inText: new RegExp(String.raw`${bordered(program)}[ \t](?:[^\r\n|;&\\]{0,256}?[ \t"'])?${option.source}${gap}${start}(?=[^\s"'])`, 'g'),
    name: new RegExp(`^(?:.*/)?${program.source}$`, 's'), before: isApart ? new RegExp(`^${option.source}$`) : null,
    own: new RegExp(`^${option.source}${start}(?=.)`, 's'), alone: new RegExp(`^${start}(?=.)`, 's'),
  };
});

/** Where in this argument a secret begins that goes to its end; -1 where none does. */
export function secretOfProgram(argv: readonly string[], index: number): number {
  const argument = argv[index] ?? '';
  for (const { name, before, own, alone } of PROGRAMS) {
    const start = (before?.test(argv[index - 1] ?? '') === true ? alone.exec(argument) : null) ?? own.exec(argument);
    if (start !== null && argv.slice(0, index).some((word) => name.test(word))) return start[0].length;
  }
  return -1;
}
