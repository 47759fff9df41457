/**
 * `replay`: a capture through the same analyzers and into the same sinks as a
 * trace, without root and without a kernel.
 */
import { createIdentity } from '../identity.ts';
import { runPipeline, type Pipeline } from '../pipeline.ts';
import { createReplayRunner, scanCapture } from '../runners/replay.ts';
import { openOutputs } from './outputs.ts';
import { onEndingSignals } from './signals.ts';
import { summaryLine } from './summary.ts';
import type { ReplayOptions } from './trace-options.ts';
import { createWords } from './words.ts';

/** 0, with or without lines that could not be read: those are named and counted. */
export async function runReplay(options: ReplayOptions): Promise<number> {
  const words = createWords(options.quiet);
  const identity = createIdentity();
  const start = performance.now();
  // Before anything is opened for output: a capture that is not there leaves no file behind.
  const { recompute, recorded } = await scanCapture(options.file);
  let pipeline: Pipeline | undefined;
  let drained = (): Promise<unknown> => Promise.resolve();
  const runner = createReplayRunner({
    path: options.file,
    onNotice: words.say,
    ready: async () => void (await drained()),
  });
  const outputs = await openOutputs({
    ...options, identity, words,
    command: ['replay', options.file],
    lines: options.json || !options.quiet,
    stages: () => pipeline?.stats() ?? [],
    onReaderGone: () => void runner.stop(),
  });
  const { sinks, url } = outputs;
  drained = () => Promise.all(sinks.map((sink) => sink.ready?.()));
  const release = onEndingSignals(() => void runner.stop());
  try {
    if (url !== null) words.say(`live page: ${url}`);
    const { sources, where, exclude, excludeChunk, raw, redact } = options;
    pipeline = runPipeline({ runner, sinks, nextId: identity.nextId, sources, where, exclude, excludeChunk, raw, redact, recompute, recorded });
    const totals = await pipeline.done;
    words.say(summaryLine({
      verb: 'replayed', durationMs: performance.now() - start, totals, stages: pipeline.stats(), output: options.output,
    }));
    return 0;
  } finally {
    release();
    outputs.close();
  }
}
