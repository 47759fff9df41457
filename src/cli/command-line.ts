/**
 * The command line as data: what was asked for, or the help text that answers
 * it. Nothing here acts or prints, so that the reference in README.md can be
 * made of it.
 */
import { Command, CommanderError, Help, Option } from 'commander';
import { AgentsightError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { OPTION_GROUPS } from './options.ts';
import type { CommandFlags } from './options.ts';

export type CommandName = keyof typeof OPTION_GROUPS;
export const COMMAND_NAMES = Object.keys(OPTION_GROUPS) as readonly CommandName[];

export type CommandLine =
  | { readonly kind: 'command'; readonly name: CommandName; readonly flags: CommandFlags; readonly args: readonly string[]; readonly command: readonly string[] }
  /** Help or version: goes to stdout, exit 0. */
  | { readonly kind: 'text'; readonly text: string };

/** Help is as wide as this where it goes into a file, so that the reference is the same everywhere. */
export const REFERENCE_WIDTH = 110;

const SUMMARIES: Readonly<Record<CommandName, string>> = {
  trace: 'watch a process and its descendants, or launch a command and watch it',
  replay: 'run a capture through the same analyzers: no root, no kernel',
  serve: 'store, API and page alone',
  doctor: 'what this kernel, this user and a target allow, and how to get what is missing',
  config: 'the settings in force, and where each one comes from',
  explain: 'how a filter of --where and --exclude is understood',
  schema: 'JSON Schema of one line of a capture',
};

const TASKS = `
Watch a program:       sudo agentsight-ts trace -- curl https://example.com
Watch what runs:       sudo agentsight-ts trace --pid 1234 -o trace.jsonl
Look at it later:      agentsight-ts replay trace.jsonl --hub
`;

const EXAMPLES: Readonly<Partial<Record<CommandName, string>>> = {
  trace: `
Launch and watch:      sudo agentsight-ts trace -- python3 agent.py
Attach, to a file:     sudo agentsight-ts trace --pid 1234 -o trace.jsonl
Select what runs:      sudo agentsight-ts trace --container web --comm node --port 443
Pick from the stream:  sudo agentsight-ts trace -c node --json --no-hub | jq .data.url
Only what failed:      sudo agentsight-ts trace -c node --where 'status >= 400'
`,
  explain: `
A condition:     agentsight-ts explain 'status >= 400'
More of them:    agentsight-ts explain 'host = api.test AND NOT status IN (200, 304)'
Headers:         agentsight-ts explain 'request.header.x-team = blue'
From AgentSight: agentsight-ts explain --http-filter 'request.path_prefix=/v1'

A condition is FIELD OPERATOR VALUE. Fields are those of agentsight-ts schema,
with or without "data." before them; one that an event does not have is null.
  = !=        is, is not (of a list: one element is)
  ~ !~        contains, contains not, in any case      ^=  begins with
  *=          contains, upper and lower case as written
  < <= > >=   of numbers and times                     IN (a, b), NOT IN (a, b)
  FIELD alone: is there, and neither false nor empty
AND, OR, NOT and brackets join conditions.
`,
};

/** Throws USAGE. */
export function parseCommandLine(argv: readonly string[], width = REFERENCE_WIDTH): CommandLine {
  // Everything after the first -- belongs to the launched command, its own -- too.
  const split = argv[0] === 'trace' ? argv.indexOf('--') : -1;
  const ours = split === -1 ? argv : argv.slice(0, split);
  const command = split === -1 ? [] : argv.slice(split + 1);
  let text = '';
  let found: CommandLine | undefined;
  const program = createProgram({ width, write: (part) => (text += part) }, (name, flags, args) => {
    found = { kind: 'command', name, flags, args, command };
  });
  if (ours.length === 0) return { kind: 'text', text: helpOf(program) };
  try {
    program.parse(ours, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'text', text };
    throw usageError(error, ours);
  }
  if (found === undefined) throw new Error('commander ran no command');
  return found;
}

/** What `--help` prints, for each command and, first, for all of them. */
export function helpTexts(width = REFERENCE_WIDTH): ReadonlyMap<string, string> {
  const program = createProgram({ width, write: () => undefined }, () => undefined);
  const texts = program.commands.map((command): [string, string] => [`agentsight-ts ${command.name()}`, helpOf(command)]);
  return new Map([['agentsight-ts', helpOf(program)], ...texts]);
}

interface Output {
  readonly width: number;
  readonly write: (text: string) => unknown;
}

type OnCommand = (name: CommandName, flags: CommandFlags, args: readonly string[]) => void;

function createProgram({ width, write }: Output, onCommand: OnCommand): Command {
  const program = new Command('agentsight-ts')
    .description('Shows what software really does on this machine: processes, stdio, and the plaintext inside TLS.')
    .usage('COMMAND [options]')
    .addHelpText('before', TASKS.trimStart())
    .helpOption('-h, --help', 'this text; `agentsight-ts COMMAND --help` for one command')
    .helpCommand('help [command]', 'the same')
    .version(VERSION, '-V, --version', 'the version')
    .configureOutput({ writeOut: write, writeErr: () => undefined, getOutHelpWidth: () => width, getOutHasColors: () => false })
    .configureHelp({ formatHelp: commandsFirst })
    .exitOverride();
  for (const name of COMMAND_NAMES) addCommand(program, name, onCommand);
  return program;
}

function addCommand(program: Command, name: CommandName, onCommand: OnCommand): void {
  const examples = EXAMPLES[name];
  const command = program.command(name)
    .description(SUMMARIES[name])
    .usage(name === 'trace' ? '[options] [-- COMMAND [ARGS…]]' : name === 'replay' ? '[options] FILE' : name === 'explain' ? '[options] [FILTER…]' : '[options]')
    .addHelpOption(new Option('-h, --help', 'this text').helpGroup('General:'))
    .action(() => onCommand(name, givenFlags(command), command.args));
  if (examples !== undefined) command.addHelpText('before', examples.trimStart());
  if (name === 'explain') command.argument('[filter...]', 'each is explained by itself');
  if (name === 'replay') command.argument('<file>', 'a capture written with -o; - for stdin');
  for (const { heading, options } of OPTION_GROUPS[name] as readonly { heading: string; options: readonly Option[] }[]) {
    for (const option of options) command.addOption(option.helpGroup(heading));
  }
}

/** What there is to do comes before how. */
function commandsFirst(command: Command, help: Help): string {
  const text = Help.prototype.formatHelp.call(help, command, help);
  const [before, options, commands] = text.split(/^(?=Options:|Commands:)/m);
  return commands === undefined ? text : `${before}${commands.trimEnd()}\n\n${options?.trimEnd()}\n`;
}

/** commander counts a --no-x that was not given as x: true; only what was typed may outrank the other places. */
function givenFlags(command: Command): CommandFlags {
  const values: Record<string, unknown> = command.opts();
  return Object.fromEntries(Object.entries(values).filter(([name]) => command.getOptionValueSource(name) === 'cli')) as CommandFlags;
}

function usageError(error: CommanderError, argv: readonly string[]): AgentsightError {
  const [, message = error.message, meant] = /^(?:error: )?(.*?)\.?(?:\n\(Did you mean (.*)\?\))?$/s.exec(error.message) ?? [];
  const known = (COMMAND_NAMES as readonly string[]).includes(argv[0] ?? '');
  const help = known ? `\`agentsight-ts ${argv[0] ?? ''} --help\`` : '`agentsight-ts --help`';
  const launches = argv[0] === 'trace' && error.code === 'commander.excessArguments';
  const hint = launches
    ? 'put -- before a command that is to be launched: agentsight-ts trace -- COMMAND'
    : meant === undefined ? `see ${help}` : `did you mean ${meant}? See ${help}`;
  return new AgentsightError('USAGE', `could not read the command line: ${message}`, { hint });
}

/** Examples come before the usage line; helpInformation() alone would leave them out. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ ...command.configureOutput(), writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}
