/**
 * AgentSight's command line in ours: `ssl`, `process`, `stdio`, `system`, `agent`,
 * `record`, `server`, and the flags that its `trace` has and ours has not. Words
 * in, words out; what has no counterpart is told in a notice, never dropped in
 * silence.
 *
 * Covered is what its versions up to 0.2.4 take, and what they pass on after
 * `--` to their helper programs. A list of names is taken apart at its commas, a
 * switch may be `--ssl=false` or `--ssl false`, and where AgentSight watches
 * every process for want of a choice, process 1 is traced.
 */
import { translateHttpFilter, type Translation } from '../../analyzers/where/agentsight.ts';
import { translateSslFilter } from '../../analyzers/where/agentsight-ssl.ts';
import { formatWhere } from '../../analyzers/where/explain.ts';
import type { Source } from '../event.ts';
import { DEFAULT_SOURCES } from '../values.ts';

export interface Translated {
  readonly argv: readonly string[];
  /** Sentences for stderr. */
  readonly notices: readonly string[];
}

/** A command of theirs: the one of ours that does it, and what it shows unless flags say otherwise. */
interface Alias {
  readonly command: 'trace' | 'serve';
  readonly sources: readonly Source[];
  /** Watches everything when neither process nor name is given. */
  readonly everything: boolean;
  /** What follows -- are flags of a helper program, not a command to launch. */
  readonly passesOn: boolean;
}

const TLS: readonly Source[] = ['tls', 'http', 'sse', 'websocket'];
const PROCESS: readonly Source[] = ['process', 'file'];
const SYSTEM: readonly Source[] = ['system'];

const ALIASES: Readonly<Record<string, Alias>> = {
  ssl: { command: 'trace', sources: TLS, everything: true, passesOn: true },
  process: { command: 'trace', sources: PROCESS, everything: true, passesOn: true },
  stdio: { command: 'trace', sources: ['stdio'], everything: false, passesOn: true },
  system: { command: 'trace', sources: SYSTEM, everything: true, passesOn: true },
  agent: { command: 'trace', sources: [], everything: true, passesOn: false },
  record: { command: 'trace', sources: [...DEFAULT_SOURCES, ...SYSTEM], everything: false, passesOn: false },
  server: { command: 'serve', sources: [], everything: false, passesOn: false },
};

/** What becomes of one flag of theirs. */
type Rule =
  /** The same under another name, with or without a value. */
  | { readonly kind: 'rename'; readonly to: string; readonly value: boolean }
  /** A number of megabytes; ours has a unit. */
  | { readonly kind: 'megabytes'; readonly to: string }
  /** A list of names, each a flag of its own. */
  | { readonly kind: 'each'; readonly to: string }
  /** Sources on or off; alone it is on. */
  | { readonly kind: 'switch'; readonly sources: readonly Source[] }
  /** Always so here. */
  | { readonly kind: 'implied'; readonly value: boolean }
  /** A filter of theirs, which excludes. */
  | { readonly kind: 'filter'; readonly translate: (text: string) => Translation }
  /** Has no counterpart: said once. */
  | { readonly kind: 'told'; readonly value: boolean; readonly notice: string };

const FOUND_BY_ITSELF = 'TLS inside of programs is found without --binary-path';
const ALL_LIBRARIES = 'every TLS library is captured: they cannot be left out one by one';
const ANY_DURATION = 'processes of any duration are shown: --duration is not applied';
const NO_MODE = '--mode is only applied to process: here traced processes are shown with their files; --source process leaves those out';
/** Presets of its versions up to 0.1; the later ones have none. */
const NO_PRESETS = "what AgentSight's record leaves out by itself is shown: requests to /v1/rgstr, of method HEAD, answers with status 202 or without a body; --exclude leaves them out";
const ROTATES = 'files of -o rotate by themselves, at 512 MiB';

/** Flags that only AgentSight has. Whatever is not here passes as it is. */
const RULES: Readonly<Record<string, Rule>> = {
  '--ssl': { kind: 'switch', sources: TLS },
  '--process': { kind: 'switch', sources: PROCESS },
  '--stdio': { kind: 'switch', sources: ['stdio'] },
  '--system': { kind: 'switch', sources: SYSTEM },
  '--system-interval': { kind: 'rename', to: '--interval', value: true },
  '--comm': { kind: 'each', to: '--comm' },
  '-c': { kind: 'each', to: '--comm' },
  '--ssl-uid': { kind: 'rename', to: '--uid', value: true },
  '--stdio-uid': { kind: 'rename', to: '--uid', value: true },
  '--stdio-comm': { kind: 'each', to: '--comm' },
  '--stdio-all-fds': { kind: 'rename', to: '--all-fds', value: false },
  '--stdio-max-bytes': { kind: 'rename', to: '--max-bytes', value: true },
  '--ssl-raw-data': { kind: 'rename', to: '--raw', value: false },
  '--http-raw-data': { kind: 'rename', to: '--raw', value: false },
  '--disable-auth-removal': { kind: 'rename', to: '--no-redact', value: false },
  '--log-file': { kind: 'rename', to: '--output', value: true },
  '--sse-merge': { kind: 'implied', value: false },
  '--http-parser': { kind: 'implied', value: false },
  '--ssl-http': { kind: 'implied', value: false },
  '--ssl-handshake': { kind: 'implied', value: false },
  '--handshake': { kind: 'implied', value: false },
  '--server': { kind: 'implied', value: false },
  '--rotate-logs': { kind: 'told', value: false, notice: ROTATES },
  '--max-log-size': { kind: 'told', value: true, notice: ROTATES },
  '--binary-path': { kind: 'told', value: true, notice: FOUND_BY_ITSELF },
  '--http-filter': { kind: 'filter', translate: translateHttpFilter },
  '--ssl-filter': { kind: 'filter', translate: translateSslFilter },
  '--no-children': { kind: 'rename', to: '--no-follow', value: false },
  '--duration': { kind: 'told', value: true, notice: ANY_DURATION },
  '--no-openssl': { kind: 'told', value: false, notice: ALL_LIBRARIES },
  '--no-gnutls': { kind: 'told', value: false, notice: ALL_LIBRARIES },
  '--no-nss': { kind: 'told', value: false, notice: ALL_LIBRARIES },
  '--otel': { kind: 'told', value: false, notice: 'events are not exported to OpenTelemetry' },
  '--otel-endpoint': { kind: 'told', value: true, notice: 'events are not exported to OpenTelemetry' },
};

/** In the commands of theirs; in `trace` these are ours already, or nobody's. */
const ALIAS_RULES: Readonly<Record<string, Rule>> = {
  ...RULES,
  '-u': { kind: 'rename', to: '--uid', value: true },
  '-i': { kind: 'rename', to: '--interval', value: true },
  '--memory-threshold': { kind: 'megabytes', to: '--memory-threshold' },
};

/** What sslsniff, process and stdiocap call by one letter means something else before the `--`. */
const HELPER_RULES: Readonly<Record<string, Rule>> = {
  ...ALIAS_RULES,
  '-o': { kind: 'told', value: false, notice: ALL_LIBRARIES },
  '-g': { kind: 'told', value: false, notice: ALL_LIBRARIES },
  '-n': { kind: 'told', value: false, notice: ALL_LIBRARIES },
  '-h': { kind: 'implied', value: false },
  '-a': { kind: 'implied', value: false },
  '-d': { kind: 'told', value: true, notice: ANY_DURATION },
};

/** Their `--mode` of process events: 1 leaves out files. */
const MODES: Readonly<Record<string, readonly Source[]>> = { 0: PROCESS, 1: ['process'], 2: PROCESS };
/** What their `trace`, `agent` and `record` show when a switch is given but not this one. */
const DEFAULT_ON: readonly Source[] = [...TLS, ...PROCESS];
const TARGETS = ['--pid', '-p', '--comm', '-c', '--uid', '--exe', '--cgroup', '--container'];

export function translateAgentSight(argv: readonly string[]): Translated {
  // `debug ssl` of later versions is `ssl` without files.
  const [name = '', ...words] = argv[0] === 'debug' ? argv.slice(1) : argv;
  const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
  if (alias === undefined && name !== 'trace') return { argv, notices: [] };
  const { flags, passedOn, command } = split(words, alias);
  const taken: Taken = { words: [], notices: new Set(), switches: [], mode: null };
  take(flags, alias === undefined ? RULES : ALIAS_RULES, taken);
  take(passedOn, alias?.passesOn === true ? HELPER_RULES : ALIAS_RULES, taken);
  const sources = chosenSources(taken, alias);
  const out = [...taken.words, ...(sources.length === 0 ? [] : ['--source', sources.join(',')])];
  const notices = new Set(taken.notices);
  if (taken.mode !== null && alias?.sources !== PROCESS) notices.add(NO_MODE);
  if (name === 'record') notices.add(NO_PRESETS);
  if (alias?.everything === true && command.length === 0 && !out.some(isTarget)) {
    out.push('--pid', '1');
    notices.add('no process was chosen: tracing process 1 and all its descendants');
  }
  const launch = command.length === 0 ? [] : ['--', ...command];
  return { argv: [alias?.command ?? name, ...out, ...launch], notices: [...notices] };
}

interface Split {
  readonly flags: readonly string[];
  /** Flags after `--`. */
  readonly passedOn: readonly string[];
  readonly command: readonly string[];
}

/** After `--`: a command to launch, or further flags where a command cannot be meant. */
function split(words: readonly string[], alias: Alias | undefined): Split {
  const at = words.indexOf('--');
  if (at === -1) return { flags: words, passedOn: [], command: [] };
  const [flags, after] = [words.slice(0, at), words.slice(at + 1)];
  const isPassedOn = alias?.passesOn === true || after[0]?.startsWith('-') === true;
  return { flags, passedOn: isPassedOn ? after : [], command: isPassedOn ? [] : after };
}

interface Taken {
  readonly words: string[];
  readonly notices: Set<string>;
  readonly switches: { sources: readonly Source[]; on: boolean }[];
  mode: readonly Source[] | null;
}

function take(flags: readonly string[], rules: Readonly<Record<string, Rule>>, taken: Taken): void {
  for (let at = 0; at < flags.length; at++) {
    const word = flags[at] ?? '';
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = equals === -1 ? word : word.slice(0, equals);
    const inline = equals === -1 ? null : word.slice(equals + 1);
    const next = flags[at + 1];
    if (name === '--mode' || name === '-m') {
      taken.mode = MODES[inline ?? next ?? ''] ?? PROCESS;
      if (inline === null) at++;
      continue;
    }
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      taken.words.push(word);
      continue;
    }
    if (apply(rule, { inline, next }, taken)) at++;
  }
}

interface Given {
  readonly inline: string | null;
  readonly next: string | undefined;
}

/** True when the next word was its value. */
function apply(rule: Rule, { inline, next }: Given, taken: Taken): boolean {
  const isSwitchWord = inline === null && (next === 'true' || next === 'false');
  switch (rule.kind) {
    case 'switch':
      taken.switches.push({ sources: rule.sources, on: (inline ?? (isSwitchWord ? next : 'true')) !== 'false' });
      return isSwitchWord;
    case 'each':
      for (const part of (inline ?? next ?? '').split(',')) taken.words.push(rule.to, part);
      return inline === null;
    case 'megabytes':
      taken.words.push(rule.to, `${inline ?? next ?? ''}M`);
      return inline === null;
    case 'filter': {
      const { expression, option, traps } = rule.translate(inline ?? next ?? '');
      taken.words.push(option, formatWhere(expression));
      for (const trap of traps) taken.notices.add(trap);
      return inline === null;
    }
    case 'rename':
      if (!rule.value) {
        if ((inline ?? (isSwitchWord ? next : 'true')) !== 'false') taken.words.push(rule.to);
        return isSwitchWord;
      }
      taken.words.push(rule.to);
      if (inline !== null) taken.words.push(inline);
      else if (next !== undefined) taken.words.push(next);
      return inline === null;
    default:
      if (rule.kind === 'told') taken.notices.add(rule.notice);
      return rule.value ? inline === null : isSwitchWord;
  }
}

/** Empty: ours decide. */
function chosenSources({ switches, mode, words }: Taken, alias: Alias | undefined): readonly Source[] {
  if (words.some((word) => word === '--source' || word.startsWith('--source='))) return [];
  const base = mode === null || alias?.sources !== PROCESS ? alias?.sources ?? [] : mode;
  if (switches.length === 0) return base;
  const on = new Set(base.length > 0 ? base : DEFAULT_ON);
  for (const { sources, on: wanted } of switches) for (const source of sources) if (wanted) on.add(source); else on.delete(source);
  return [...on];
}

function isTarget(word: string): boolean {
  return TARGETS.some((target) => word === target || word.startsWith(`${target}=`));
}
