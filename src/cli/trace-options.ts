/**
 * What the commands that produce events are asked to do, with every setting
 * resolved: flags, environment and config file are already weighed.
 */
import { CAPTURE_DEFAULTS, type ProgramFamily, type Selection } from '../addon.ts';
import type { Expression } from '../../analyzers/where/expression.ts';
import type { Settings } from '../settings.ts';
import { AgentsightError } from '../errors.ts';
import type { Source } from '../event.ts';
import type { HeldElsewhere } from '../runners/launch.ts';
import { selectsProcesses } from '../runners/seed.ts';
import type { UsageOptions } from '../runners/usage.ts';
import type { User } from '../user.ts';
import { selectionOf, type SelectorFlags } from './selection.ts';
import { DEFAULT_SOURCES, SELECTABLE_SOURCES } from '../values.ts';

/** Where events go, and what of them: common to `trace` and `replay`. */
export interface OutputOptions {
  /** JSONL file, absolute; null for none. */
  readonly output: string | null;
  /** To the hub's store and page. */
  readonly hub: boolean;
  /** No event lines on the terminal. */
  readonly quiet: boolean;
  /** Events on stdout as JSONL. */
  readonly json: boolean;
  /** What is shown and written; events about ourselves always are. */
  readonly sources: readonly Source[];
  /** Filters that an event must fit, all of them, and filters of which it must fit none. */
  readonly where: readonly Expression[];
  readonly exclude: readonly Expression[];
  /** Filters of which a chunk of TLS must fit none, or it is not read. */
  readonly excludeChunk: readonly Expression[];
  /** Keep `tls` chunks. */
  readonly raw: boolean;
  readonly redact: boolean;
  /** The hub's port; 0 for any free one. */
  readonly port: number;
  readonly dataDir: string;
  /** ClickHouse server, or null for the embedded engine. */
  readonly store: string | null;
  /** Who owns the files, runs the hub and the launched command. */
  readonly user: User;
  /** Keep the page up after the run, until Ctrl-C. */
  readonly serve: boolean;
  /** Show the details of notices and errors. */
  readonly verbose: boolean;
}

export interface TraceOptions extends OutputOptions {
  readonly pids: readonly number[];
  readonly selection: Selection;
  /** After `--`; empty when attaching only. */
  readonly command: readonly string[];
  /** What the kernel has to observe for `sources`. */
  readonly families: readonly ProgramFamily[];
  readonly durationMs: number | null;
  /** How what processes use is measured; null where it is not. */
  readonly usage: UsageOptions | null;
  /** The command was started by its own user, who raised only this collector. */
  readonly held: HeldElsewhere | null;
  readonly ringBytes: number;
  readonly fds: readonly number[];
  readonly allFds: boolean;
  /** Kept of one call that moves TLS or plain HTTP. */
  readonly payloadBytesPerCall: number;
  readonly plainPorts: readonly number[];
  /** Kept of one call on a descriptor. */
  readonly stdioBytesPerCall: number;
}

export interface ReplayOptions extends OutputOptions {
  /** Absolute, or `-` for stdin. */
  readonly file: string;
}

/** What commander hands over: exactly the flags that were given. */
export interface TraceFlags extends OutputFlags, SelectorFlags {
  readonly pid?: readonly number[];
  readonly for?: number;
  readonly fds?: readonly number[];
  readonly allFds?: boolean;
  readonly maxBytes?: number;
  readonly held?: HeldElsewhere;
  readonly interval?: number;
  readonly cpuThreshold?: number;
  readonly memoryThreshold?: number;
}

export interface OutputFlags {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly serve?: boolean;
  readonly excludeSource?: readonly Source[];
  readonly where?: readonly Expression[];
  readonly exclude?: readonly Expression[];
  readonly excludeChunk?: readonly Expression[];
}

export interface ReplayFlags extends OutputFlags {
  readonly hub?: boolean;
}

/** What the options need to know besides the flags. */
export interface Invocation {
  readonly settings: Settings;
  readonly user: User;
  readonly stdoutIsTerminal: boolean;
}

/** Throws USAGE when the flags contradict each other or choose nothing to trace. */
export function traceOptions(flags: TraceFlags, command: readonly string[], invocation: Invocation): TraceOptions {
  const pids = [...new Set(flags.pid ?? [])];
  const selection = selectionOf(flags);
  if (pids.length === 0 && !selectsProcesses(selection) && command.length === 0) throw nothingChosen();
  if (command.length > 0 && flags.json === true && flags.output === undefined && invocation.stdoutIsTerminal) {
    throw usage(
      'could not trace: --json and the command would both write on this terminal',
      'add -o FILE, or send stdout through a pipe',
    );
  }
  if (flags.fds !== undefined && flags.allFds === true) throw usage('could not trace: --fds and --all-fds contradict each other', 'leave one out');
  const { settings } = invocation;
  const output = outputOptions(flags, invocation);
  if (!output.raw && output.sources.every((source) => source === 'tls')) {
    throw usage('could not trace: tls chunks are only kept with --raw', 'add --raw, or choose http and sse');
  }
  return {
    ...output,
    pids,
    selection,
    command,
    families: familiesFor(output.sources),
    durationMs: flags.for ?? null,
    usage: usageOptions(flags, output.sources),
    held: flags.held ?? null,
    ringBytes: settings.ringSize,
    payloadBytesPerCall: settings.maxPayload,
    plainPorts: settings.plainPorts,
    fds: flags.fds ?? CAPTURE_DEFAULTS.fds,
    // A list that was typed outranks what a variable or the config file says of all.
    allFds: flags.fds === undefined && settings.allFds,
    stdioBytesPerCall: flags.maxBytes ?? CAPTURE_DEFAULTS.stdioBytesPerCall,
  };
}

const SAMPLE_MS = 2000;

function usageOptions({ interval, cpuThreshold, memoryThreshold }: TraceFlags, sources: readonly Source[]): UsageOptions | null {
  if (sources.includes('system')) return { intervalMs: interval ?? SAMPLE_MS, cpuThreshold: cpuThreshold ?? null, memoryThresholdBytes: memoryThreshold ?? null };
  const unused = Object.entries({ '--interval': interval, '--cpu-threshold': cpuThreshold, '--memory-threshold': memoryThreshold })
    .find(([, value]) => value !== undefined);
  if (unused === undefined) return null;
  throw usage(`could not trace: ${unused[0]} is of source system, which is not chosen`, `add system to --source, as in --source ${[...sources, 'system'].join(',')}`);
}

/** A replay shows its events in the page only when it is asked to: they may be there already. */
export function replayOptions(file: string, flags: ReplayFlags, invocation: Invocation): ReplayOptions {
  if (file === '') throw usage('could not replay: the name of the capture is empty', 'give a file, or - for stdin');
  const chosen = invocation.settings.sources;
  // Whatever is in the capture was asked for when it was made.
  const sources = chosen === DEFAULT_SOURCES ? SELECTABLE_SOURCES : chosen;
  const settings = { ...invocation.settings, sources, hub: flags.hub ?? false };
  return { ...outputOptions(flags, { ...invocation, settings }), file: file === '-' ? file : absolute(file) };
}

function outputOptions(flags: OutputFlags, { settings, user }: Invocation): OutputOptions {
  if (flags.output === '') throw usage('could not write events: the name after -o is empty', 'give -o a file name');
  if (flags.serve === true && !settings.hub) {
    throw usage('could not keep the page up: there is none without a hub', 'leave --no-hub out; for a replay, add --hub');
  }
  const excluded = flags.excludeSource ?? [];
  const sources = settings.sources.filter((source) => !excluded.includes(source));
  if (sources.length === 0) throw usage('could not show events: --exclude-source leaves no source', 'exclude fewer, or choose others with --source');
  return {
    output: flags.output === undefined ? null : absolute(flags.output),
    hub: settings.hub,
    quiet: flags.quiet ?? false,
    json: flags.json ?? false,
    sources,
    where: flags.where ?? [],
    exclude: flags.exclude ?? [],
    excludeChunk: flags.excludeChunk ?? [],
    raw: settings.raw,
    redact: settings.redact,
    port: settings.port,
    dataDir: settings.dataDir,
    store: settings.store,
    user,
    serve: flags.serve ?? false,
    verbose: settings.logLevel === 'debug',
  };
}

/** Process records are the frame of everything else: without them nothing has a session. */
function familiesFor(sources: readonly Source[]): readonly ProgramFamily[] {
  const families: ProgramFamily[] = ['process'];
  const wantsHttp = (['http', 'sse', 'websocket'] as const).some((source) => sources.includes(source));
  if (wantsHttp || sources.includes('tls')) families.push('tls');
  if (wantsHttp || sources.includes('net')) families.push('net');
  if (sources.includes('file')) families.push('file');
  if (sources.includes('stdio')) families.push('stdio');
  if (sources.includes('signal')) families.push('signal');
  if (sources.includes('readline')) families.push('readline');
  return families;
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `${process.cwd()}/${path}`;
}

function nothingChosen(): AgentsightError {
  return usage(
    'could not trace: nothing was chosen',
    'select with -p PID, -c NAME, --uid USER …, or launch a command: agentsight-ts trace -- curl https://example.com',
  );
}

function usage(message: string, hint: string): AgentsightError {
  return new AgentsightError('USAGE', message, { hint });
}
