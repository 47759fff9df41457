/** The words at the end of a run: what could not be seen, and one line of totals with every loss. */
import type { ProbeData, SystemEvent, SystemThreshold } from '../event.ts';
import { escapeText, formatBytes } from '../sinks/text.ts';
import type { Totals } from '../pipeline.ts';
import type { TlsReportRow } from '../runners/tls-report.ts';
import type { StageStats } from '../stats.ts';

export interface RunFacts {
  /** `traced`, `replayed`. */
  readonly verb: string;
  readonly durationMs: number;
  readonly totals: Totals;
  readonly stages: readonly StageStats[];
  readonly output: string | null;
}

/** Options that raise the limit of one call. */
const RAISED_BY: Readonly<Record<string, string>> = {
  stdio: ' (--max-bytes raises it)', tls: ' (--max-payload raises it)', net: ' (--max-payload raises it)',
};

/** Counters of what did not get through, and the words that follow the number. */
const LOSSES: Readonly<Record<string, (stage: string) => string>> = {
  ring_full: (stage) => `${stage} records did not fit the ring (a larger --ring-size holds more)`,
  map_full: (stage) => `${stage} processes or connections did not fit a kernel map`,
  read_fault: (stage) => `${stage} calls had memory that could not be read`,
  truncated_bytes: (stage) => `bytes of ${stage} payload were beyond the limit of one call${RAISED_BY[stage] ?? ''}`,
  missed: (stage) => `${stage} calls were seen to end but not to start`,
  compat: (stage) => `${stage} calls of 32-bit programs were not decoded`,
  unmeasured: () => 'times a process was not measured, for there were too many at once',
  malformed: () => 'records could not be decoded',
  bad_lines: () => 'lines of the capture could not be read',
  refused: (stage) => `events were refused by ${stage}`,
};

export function summaryLine({ verb, durationMs, totals, output, stages }: RunFacts): string {
  const { bySource, events } = totals;
  const exchanges = plural(bySource.get('http') ?? 0, 'HTTP exchange');
  const into = output === null ? '' : ` in ${output}`;
  const lost = losses(stages);
  return `${verb} for ${seconds(durationMs)}: ${plural(events, 'event')} (${exchanges})${into}; ${lost.length === 0 ? 'nothing lost' : `LOST: ${lost.join('; ')}`}`;
}

function losses(stages: readonly StageStats[]): readonly string[] {
  return stages.flatMap(({ stage, counters }) =>
    Object.entries(counters).flatMap(([name, count]) => {
      const words = LOSSES[name];
      if (words === undefined || count === 0) return [];
      return [`${count.toLocaleString('en')} ${words(stage.replace('kernel.', ''))}`];
    }),
  );
}

/** Where the ring was full: of each processor, the records that it numbered, those that came, and those that are counted as lost. */
export function cpuLines(stages: readonly StageStats[]): readonly string[] {
  return stages.flatMap(({ stage, counters }) => {
    const cpu = /^kernel\.cpu(\d+)$/.exec(stage)?.[1];
    const count = (name: string): string => (counters[name] ?? 0).toLocaleString('en');
    return cpu === undefined ? [] : [`cpu ${cpu}: ${count('records')} records, ${count('read')} read, ${count('lost')} lost`];
  });
}

/** Kinds of blind spots that are told line by line. */
const BLIND_SPOTS_TOLD = 20;

/**
 * Why there is less TLS plaintext than one might expect. A process that speaks
 * TLS unseen, and a library that could not be hooked, are always named; a
 * process that had nothing to say only when nobody else had either, or else
 * every helper of an agent would get a line.
 */
export function blindSpots(rows: readonly TlsReportRow[]): readonly string[] {
  const nothing = !rows.some(({ readBytes, writtenBytes }) => readBytes + writtenBytes > 0);
  const told = rows.filter(({ state, root, speaks, reason }) =>
    reason !== null && (speaks || state === 'failed' || state === 'unsupported' || (nothing && (root || state === 'silent'))));
  // Those who speak come first: whoever else is cut off had perhaps nothing to say.
  const groups = new Map<string, { readonly first: TlsReportRow; others: number }>();
  for (const row of [...told].sort((a, b) => Number(b.speaks) - Number(a.speaks))) {
    const alike = groups.get(`${row.comm}: ${row.reason}`);
    if (alike === undefined) groups.set(`${row.comm}: ${row.reason}`, { first: row, others: 0 });
    else alike.others += 1;
  }
  const lines = [...groups.values()].slice(0, BLIND_SPOTS_TOLD).map(({ first, others }) => {
    const more = others === 0 ? '' : ` (and ${plural(others, 'other')} like it)`;
    return `no TLS plaintext${first.state === 'captured' ? ' of some connections' : ''}: pid ${first.pid} ${first.comm}: ${first.reason}${more}`;
  });
  return groups.size > BLIND_SPOTS_TOLD ? [...lines, `and ${groups.size - BLIND_SPOTS_TOLD} more: see the probe events`] : lines;
}

/** Said when it is noticed. */
export function suspectLine({ path, library, method, reason }: ProbeData): string {
  return `warning: ${path}: ${library ?? 'TLS'} was found there by ${method ?? 'nothing'}, but ${reason ?? 'that is doubtful'}`;
}

/** Said when a tree of processes passes a threshold. */
export function overLine({ pid, comm, data }: SystemEvent, threshold: SystemThreshold): string {
  const { processes, cpu_percent, rss_bytes } = data;
  const who = `pid ${pid} ${escapeText(comm)}${processes === 1 ? '' : ` and ${processes - 1} more below it`}`;
  return threshold === 'cpu'
    ? `warning: ${who} used ${cpu_percent} % of a processor, over --cpu-threshold`
    : `warning: ${who} had ${formatBytes(rss_bytes)} in memory, over --memory-threshold`;
}

/** The same in short, for the end of a run. */
export function suspectSummary(suspects: readonly ProbeData[]): readonly string[] {
  if (suspects.length === 0) return [];
  const paths = [...new Set(suspects.map(({ path }) => path))];
  const more = paths.length > BLIND_SPOTS_TOLD ? ` and ${paths.length - BLIND_SPOTS_TOLD} more` : '';
  return [`TLS plaintext may be wrong or missing, for a hooked place is suspect: ${paths.slice(0, BLIND_SPOTS_TOLD).join(', ')}${more}`];
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

function seconds(durationMs: number): string {
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  return `${Math.floor(durationMs / 60_000)} min ${Math.floor((durationMs % 60_000) / 1000)} s`;
}
