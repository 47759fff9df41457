/**
 * `trace`: watches processes, or launches a command and watches it, until they
 * have ended, the time is over, or somebody asks for the end.
 */
import { launcherPath, loadAddon } from '../addon.ts';
import { keepHeapSmall } from '../heap.ts';
import type { ProbeData } from '../event.ts';
import { createIdentity } from '../identity.ts';
import { runPipeline, type Pipeline, type Totals } from '../pipeline.ts';
import { createCaptureRunner, type CaptureReady, type CaptureRunner, type CaptureRunnerOptions } from '../runners/capture.ts';
import { selectsProcesses } from '../runners/seed.ts';
import { openOutputs } from './outputs.ts';
import { selectionText } from './selection.ts';
import { onEndingSignals, reachesCommandByItself, type EndingSignal } from './signals.ts';
import { blindSpots, cpuLines, overLine, plural, summaryLine, suspectLine, suspectSummary } from './summary.ts';
import type { TraceOptions } from './trace-options.ts';
import { createWords, type Words } from './words.ts';

/** The exit code: the launched command's own, or 0. */
export async function runTrace(options: TraceOptions): Promise<number> {
  keepHeapSmall();
  const words = createWords(options.quiet);
  const identity = createIdentity();
  const suspects: ProbeData[] = [];
  const runner = createRunner(options, identity, {
    onSuspect(probe) {
      suspects.push(probe);
      words.say(suspectLine(probe));
    },
    onOver: (event, threshold) => words.say(overLine(event, threshold)),
  });
  let pipeline: Pipeline | undefined;
  const outputs = await openOutputs({
    ...options, identity, words,
    command: commandOf(options),
    lines: wantsLines(options),
    stages: () => pipeline?.stats() ?? [],
    onReaderGone: () => void runner.stop(),
  });
  try {
    const { sources, where, exclude, excludeChunk, raw, redact, selection: { ports } } = options;
    pipeline = runPipeline({ runner, sinks: outputs.sinks, nextId: identity.nextId, sources, where, exclude, excludeChunk, raw, ports, redact });
    return await trace({ options, words, runner, pipeline, suspects, url: outputs.url });
  } finally {
    outputs.close();
  }
}

interface Run {
  readonly options: TraceOptions;
  readonly words: Words;
  readonly runner: CaptureRunner;
  readonly pipeline: Pipeline;
  /** Places that were hooked and are not what they were taken for. */
  readonly suspects: readonly ProbeData[];
  readonly url: string | null;
}

async function trace(run: Run): Promise<number> {
  const { options, words, runner, pipeline, url } = run;
  const start = performance.now();
  if (url !== null) words.say(`live page: ${url}`);
  if (!options.redact) words.say('redaction is off: credentials will be shown and stored as they are');
  void runner.ready.then((ready) => announce(run, ready), () => undefined);
  let commandRuns = options.command.length > 0;
  void runner.exit.then(() => (commandRuns = false));
  const release = onEndingSignals(
    (signal) => end(run, signal),
    (signal) => !commandRuns || !reachesCommandByItself(signal),
  );
  const timer = options.durationMs === null ? undefined : setTimeout(() => void runner.stop(), options.durationMs);
  try {
    const totals = await pipeline.done;
    report(run, totals, performance.now() - start);
    return (await runner.exit)?.exitCode ?? 0;
  } finally {
    clearTimeout(timer);
    release();
  }
}

function createRunner(options: TraceOptions, identity: ReturnType<typeof createIdentity>, told: Pick<CaptureRunnerOptions, 'onSuspect' | 'onOver'>): CaptureRunner {
  const [command, ...args] = options.command;
  const { pids, selection, families, ringBytes, payloadBytesPerCall, plainPorts, fds, allFds, stdioBytesPerCall, user, held, usage } = options;
  // The command's own output must not run into the events that a pipe takes.
  const stdio = ['inherit', wantsLines(options) ? 2 : 'inherit', 'inherit'] as const;
  return createCaptureRunner({
    addon: loadAddon(),
    launcherPath: launcherPath(),
    identity, pids, selection, families, ringBytes, payloadBytesPerCall, plainPorts, fds, allFds, stdioBytesPerCall, usage, ...told,
    launch: command === undefined ? null : { command, args, user, stdio, ...(held === null ? {} : { held }) },
  });
}

/** stdout belongs to a launched command, unless events were asked for and go into a pipe. */
function wantsLines({ command, quiet, json }: TraceOptions): boolean {
  if (command.length > 0) return json && process.stdout.isTTY !== true;
  return json || !quiet;
}

/** A launched command ends the run by ending. */
function end({ options, runner }: Run, signal: EndingSignal): void {
  if (options.command.length > 0) {
    runner.signal(signal);
    return;
  }
  // The terminal has just shown ^C: what follows begins a line of its own.
  if (signal === 'SIGINT' && process.stderr.isTTY) process.stderr.write('\n');
  void runner.stop();
}

function announce({ options, words }: Run, ready: CaptureReady | null): void {
  if (ready === null || options.command.length > 0) return;
  const roots = ready.traced.filter(({ root }) => root).map(({ pid, comm }) => `${comm} (${pid})`);
  const others = ready.traced.length - roots.length;
  const more = others === 0 ? '' : ` and ${plural(others, 'descendant')}`;
  const running = roots.length === 0 ? [] : [`${roots.join(', ')}${more}`];
  const toCome = options.pids.length === 0 && selectsProcesses(options.selection) ? [`every process ${selectionText(options.selection)}`] : [];
  words.tell(`tracing ${[...toCome, ...running].join('; now ')}; Ctrl-C ends`);
}

function report({ options, words, runner, pipeline, suspects }: Run, totals: Totals, durationMs: number): void {
  for (const line of runner.ioUringLines()) words.say(line);
  if (options.families.includes('tls')) for (const line of blindSpots(runner.tlsReport())) words.say(line);
  for (const line of suspectSummary(suspects)) words.say(line);
  if (options.verbose) for (const line of cpuLines(pipeline.stats())) words.say(line);
  words.say(summaryLine({ verb: 'traced', durationMs, totals, stages: pipeline.stats(), output: options.output }));
}

/** For the page: what the user asked to see. */
function commandOf({ command, pids, selection }: TraceOptions): readonly string[] {
  if (command.length > 0) return command;
  const { comms, exes, uids, cgroups, containers } = selection;
  const kinds: readonly (readonly [string, readonly (string | number)[]])[] = [
    ['pid', pids], ['comm', comms], ['exe', exes], ['uid', uids], ['cgroup', cgroups], ['container', containers],
  ];
  return kinds.flatMap(([kind, values]) => values.map((value) => `${kind} ${value}`));
}
