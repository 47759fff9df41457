/** Where the events of a run go, as the flags say: terminal, file, hub. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { maskCommand } from '../../analyzers/redact.ts';
import type { Identity } from '../identity.ts';
import { dataDirOf, dataPaths } from '../paths.ts';
import { createConsoleSink, openOutputStream, styleOf } from '../sinks/console.ts';
import { createJsonlSink } from '../sinks/jsonl.ts';
import type { Sink } from '../sinks/sink.ts';
import type { StageStats } from '../stats.ts';
import { findUser } from '../user.ts';
import { VERSION } from '../version.ts';
import type { OutputOptions } from './trace-options.ts';
import type { Words } from './words.ts';

export interface OutputsOptions extends OutputOptions {
  readonly identity: Identity;
  /** What is traced, for the page. */
  readonly command: readonly string[];
  /** Event lines on stdout, where nothing else needs it. */
  readonly lines: boolean;
  readonly words: Words;
  /** What the page is told of this run's counters. */
  readonly stages: () => readonly StageStats[];
  /** Nobody reads stdout any more: the run may end. */
  readonly onReaderGone: () => void;
}

export interface Outputs {
  readonly sinks: readonly Sink[];
  /** The page's address, when there is a hub. */
  readonly url: string | null;
  /** Stops looking after the hub; the sinks are closed by the pipeline. */
  close(): void;
}

/** Throws OUTPUT_UNWRITABLE before anything is started, and what ensureHub throws. */
export async function openOutputs(options: OutputsOptions): Promise<Outputs> {
  const { words, user } = options;
  const sinks: Sink[] = [];
  if (options.output !== null) sinks.push(createJsonlSink({ path: options.output, owner: user, onNotice: words.say }));
  if (options.lines) sinks.push(consoleSink(options));
  if (!options.hub) return { sinks, url: null, close: () => undefined };
  try {
    const hub = await openHub(options);
    return { ...hub, sinks: [...sinks, hub.sink] };
  } catch (error) {
    await Promise.all(sinks.map((sink) => sink.close()));
    throw error;
  }
}

function consoleSink({ json, verbose, words, onReaderGone }: OutputsOptions): Sink {
  return createConsoleSink({
    stream: openOutputStream(1),
    json,
    style: () => styleOf(1),
    routine: verbose,
    onClosed: (failure) => {
      if (failure !== null) words.say(`could not write to stdout: ${failure}`);
      onReaderGone();
    },
  });
}

/** Loaded only when there is a hub: neither its supervisor nor the link belongs into a bare capture. */
async function openHub(options: OutputsOptions): Promise<{ sink: Sink; url: string; close: () => void }> {
  const { user, dataDir, port, store, identity, words, command } = options;
  const [{ superviseHub }, { createHubLink }, { PROTOCOL_VERSION }] = await Promise.all([
    import('../hub/supervise.ts'), import('../link/client.ts'), import('../link/protocol.ts'),
  ]);
  const hub = await superviseHub({
    user, dataDir, port,
    store: store ?? undefined,
    onNotice: words.say,
    onRestart: ({ url }) => words.tell(`the hub was started again: ${url}`),
  });
  const sink = createHubLink({
    socketPath: () => hub.current.socketPath,
    hello: {
      protocol: PROTOCOL_VERSION,
      version: VERSION,
      collector: identity.prefix,
      host: hostname(),
      boot: identity.boot,
      pid: process.pid,
      command: [...(options.redact ? maskCommand(command) : command)],
      redaction: options.redact,
    },
    spoolDir: spoolDirOf(options),
    onNotice: words.say,
    stages: options.stages,
  });
  return { sink, url: hub.current.url, close: () => hub.close() };
}

/** Root keeps its spool among its own files: a folder that the user owns could lead it anywhere. */
function spoolDirOf({ user, dataDir }: OutputsOptions): string {
  const own = process.getuid?.() ?? 0;
  if (own === user.uid) return dataPaths(dataDir).spool;
  return join(dataPaths(dataDirOf(findUser(String(own)))).spool, String(user.uid));
}
