/**
 * The command line's entry: parses, resolves the settings, runs one command.
 * The only place that prints errors and the only one that ends the process.
 * Each command's code is loaded when it is asked for: a trace must be ready in
 * 0.6 s, and neither web server nor database belongs into a collector.
 */
import { loadConfig } from '../config.ts';
import { AgentsightError, causeText, errnoOf } from '../errors.ts';
import { assertUnreachable } from '../event.ts';
import { createLog } from '../log.ts';
import { invokingUser } from '../user.ts';
import { translateAgentSight } from './agentsight.ts';
import { REFERENCE_WIDTH, parseCommandLine } from './command-line.ts';
import type { CommandLine } from './command-line.ts';
import type { Context } from './context.ts';
import type { CommandFlags } from './options.ts';
import { replayOptions, traceOptions } from './trace-options.ts';
import type { OutputOptions } from './trace-options.ts';

/** Never returns: ends the process with the command's exit code. */
export async function run(words: readonly string[]): Promise<never> {
  const argv = ours(words);
  const failure: FailureOptions = { verbose: isVerbose(argv), launches: argv[0] === 'trace' && argv.includes('--') };
  process.on('uncaughtException', (error) => process.exit(report(error, failure)));
  // A reader that went away (`| head`) is no error of ours; the sink that writes events ends the run by itself.
  process.stdout.on('error', (error) => {
    if (errnoOf(error) !== 'EPIPE') throw error;
  });
  process.exit(await main(argv).catch((error: unknown) => report(error, failure)));
}

/** The words of AgentSight in ours; what has no counterpart is told, or ends the process. */
function ours(words: readonly string[]): readonly string[] {
  try {
    const { argv, notices } = translateAgentSight(words);
    for (const notice of notices) process.stderr.write(`agentsight-ts: ${notice}\n`);
    return argv;
  } catch (error) {
    process.exit(report(error, { verbose: false, launches: false }));
  }
}

/** The exit code. Throws what could not be done. */
async function main(argv: readonly string[]): Promise<number> {
  const line = parseCommandLine(argv, helpWidth());
  if (line.kind === 'text') {
    process.stdout.write(line.text);
    return 0;
  }
  if (line.name === 'explain') {
    const { explain } = await import('./explain.ts');
    return explain(line.args, line.flags);
  }
  if (line.name === 'schema') {
    const { printSchema } = await import('./schema.ts');
    return printSchema();
  }
  const user = invokingUser(line.flags.user);
  const config = await loadConfig({
    flags: settingFlags(line.flags), environment: process.env, user, file: line.flags.config,
  });
  const log = createLog({ level: config.settings.logLevel });
  for (const warning of config.warnings) log.warn(warning);
  log.debug('settings', { origins: config.origins, file: config.file });
  return runCommand(line, { config, user, log });
}

type CommandOf = Extract<CommandLine, { kind: 'command' }>;

async function runCommand({ name, flags, args, command }: CommandOf, context: Context): Promise<number> {
  const { config: { settings }, user } = context;
  const invocation = { settings, user, stdoutIsTerminal: process.stdout.isTTY === true };
  switch (name) {
    case 'trace': {
      const options = traceOptions(flags, command, invocation);
      const { needsElevation, traceElevated } = await import('./elevate.ts');
      if (needsElevation(options)) return traceElevated(options);
      const { runTrace } = await import('./trace.ts');
      return served(options, () => runTrace(options));
    }
    case 'replay': {
      const options = replayOptions(args[0] ?? '', flags, invocation);
      const { runReplay } = await import('./replay.ts');
      return served(options, () => runReplay(options));
    }
    case 'serve': {
      const { runServe } = await import('./serve.ts');
      return runServe({ stop: flags.stop ?? false }, context);
    }
    case 'doctor': {
      const { runDoctor } = await import('./doctor.ts');
      return runDoctor({ pids: flags.pid ?? [], json: flags.json ?? false }, context);
    }
    case 'config': {
      const { printConfig } = await import('./config.ts');
      return printConfig({ json: flags.json ?? false }, context);
    }
    case 'explain':
    case 'schema':
      throw new Error(`${name} needs no settings`);
    default:
      return assertUnreachable(name);
  }
}

async function served(options: OutputOptions, work: () => Promise<number>): Promise<number> {
  if (!options.serve) return work();
  const { serveAfter } = await import('./serve-after.ts');
  return serveAfter(options, work);
}

function settingFlags(flags: CommandFlags) {
  return {
    port: flags.serverPort,
    dataDir: flags.dataDir,
    store: flags.store,
    ringSize: flags.ringSize,
    maxPayload: flags.maxPayload,
    plainPorts: flags.plainPort,
    sources: flags.source,
    redact: flags.redact,
    raw: flags.raw,
    hub: flags.hub,
    allFds: flags.allFds,
    logLevel: flags.verbose === true ? 'debug' as const : undefined,
  };
}

interface FailureOptions {
  /** Print the details of an error. */
  readonly verbose: boolean;
  /** A command was to be launched: 1 would be taken for its own exit code. */
  readonly launches: boolean;
}

const EXIT_FAILED = 1;
/** As `env`, `timeout` and others say that they themselves failed, not the command. */
const EXIT_LAUNCHER_FAILED = 125;

/** Prints what went wrong and returns the exit code. */
function report(error: unknown, { verbose, launches }: FailureOptions): number {
  const code = printFailure(error, verbose);
  return launches && code === EXIT_FAILED ? EXIT_LAUNCHER_FAILED : code;
}

function printFailure(error: unknown, verbose: boolean): number {
  if (errnoOf(error) === 'ERR_MODULE_NOT_FOUND') {
    process.stderr.write(`agentsight-ts: could not load a part of the program: ${causeText(error)}\n  hint: npm run setup\n`);
    return EXIT_FAILED;
  }
  if (!(error instanceof AgentsightError)) {
    const text = error instanceof Error ? error.stack ?? error.message : causeText(error);
    process.stderr.write(`agentsight-ts: this is a defect of agentsight-ts, please report it\n${text}\n`);
    return EXIT_FAILED;
  }
  const lines = [`agentsight-ts: ${error.message}`];
  if (error.hint !== undefined) lines.push(`  hint: ${error.hint.replaceAll('\n', '\n        ')}`);
  if (error.detail !== undefined && verbose) lines.push(...error.detail.trimEnd().split('\n').map((line) => `  | ${line}`));
  else if (error.detail !== undefined) lines.push('  -v shows the details');
  process.stderr.write(`${lines.join('\n')}\n`);
  return error.exitCode;
}

/** Before the flags are parsed: an error may come from parsing them. */
function isVerbose(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  return flags.includes('-v') || flags.includes('--verbose');
}

function helpWidth(): number {
  return process.stdout.isTTY === true ? Math.min(process.stdout.columns, REFERENCE_WIDTH) : REFERENCE_WIDTH;
}
