/**
 * The flags of every command, by group, each with what it does when it is left
 * out. The defaults are told here and set in config.ts, because a variable or
 * the config file may speak before they do.
 */
import { translateHttpFilter, type Translation } from '../../analyzers/where/agentsight.ts';
import { translateSslFilter } from '../../analyzers/where/agentsight-ssl.ts';
import { parseWhere } from '../../analyzers/where/parse.ts';
import { Option } from 'commander';
import { AgentsightError } from '../errors.ts';
import type { Source } from '../event.ts';
import { LIMITS } from '../limits.ts';
import { DEFAULT_PORT } from '../paths.ts';
import {
  BadValue, DEFAULT_SOURCES, OPTIONAL_SOURCES, formatSize, parseComm, parseDescriptors, parseDirectory, parseDuration, parseInterval, parseMaxBytes, parsePercent, parsePid,
  parsePlainPorts, parsePort, parseRingSize, parseSize, parseSources, parseStoreUrl, parseTrafficPort, parseWord,
} from '../values.ts';
import type { Parse } from '../values.ts';
import type { HeldElsewhere } from '../runners/launch.ts';
import type { TraceFlags } from './trace-options.ts';

/** Exactly the flags that were given, whatever the command. */
export interface CommandFlags extends TraceFlags {
  readonly httpFilter?: readonly Translation[];
  readonly sslFilter?: readonly Translation[];
  readonly config?: string;
  readonly verbose?: boolean;
  readonly user?: string;
  readonly serverPort?: number;
  readonly dataDir?: string;
  readonly store?: string;
  readonly ringSize?: number;
  readonly maxPayload?: number;
  readonly plainPort?: readonly number[];
  readonly source?: readonly Source[];
  readonly redact?: boolean;
  readonly raw?: boolean;
  readonly hub?: boolean;
  readonly allFds?: boolean;
  readonly stop?: boolean;
}

export interface OptionGroup {
  readonly heading: string;
  readonly options: readonly Option[];
}

const target: OptionGroup = {
  heading: 'What to trace (-- COMMAND, or what fits one value of each kind that is given):',
  options: [
    repeated('-p, --pid <pid>', 'a running process; repeatable', parsePid),
    repeated('-c, --comm <name>', 'processes of this name, now and later; repeatable', parseComm),
    repeated('--exe <file>', 'processes that run this program, a path or a name on PATH; repeatable', parseWord),
    repeated('--uid <user>', 'processes of this user, a number or a name; repeatable', parseWord),
    repeated('--cgroup <path>', 'processes in this control group or below it; repeatable', parseWord),
    repeated('--container <id>', 'processes in this container, the beginning of its id or a name; repeatable', parseWord),
    new Option('--no-follow', 'these processes without those that they start; one -p PID is then hooked alone (default: all descendants as well)'),
  ],
};

const run: OptionGroup = {
  heading: 'How to run:',
  options: [
    valued('--user <name>', 'who runs the command and owns the files (default: the user who called sudo, else this one)', String),
    valued('--for <duration>', 'stop after 10s, 5m, 1h … (default: Ctrl-C, or the end of the processes)', parseDuration),
  ],
};

const sources = valued(
  '--source <list>',
  `what to show, or all (default: ${DEFAULT_SOURCES.join(',')}; only by name: ${OPTIONAL_SOURCES.join(', ')})`,
  parseSources,
);

const excluded = valued('--exclude-source <list>', 'all but these (default: none of them)', parseSources);

const filters = [
  repeated('--where <filter>', "only events that it fits, as 'status >= 400 AND host ~ api'; repeatable, all must fit (see explain)", parseWhere),
  repeated('--exclude <filter>', 'no event that it fits; repeatable', parseWhere),
  repeated('--exclude-chunk <filter>', 'no tls chunk that it fits, and nothing of what would be parsed of it; repeatable', parseWhere),
];

const keep: OptionGroup = {
  heading: 'What to keep:',
  options: [
    sources,
    excluded,
    ...filters,
    repeated('--port <port>', 'of net, tls and HTTP only what has this port at either end; repeatable', parseTrafficPort),
    valued('--plain-port <list>', 'connections with one of these ports are HTTP without TLS, whatever their first bytes (default: told by those)', parsePlainPorts),
    valued('--max-payload <size>', `of each call that moves TLS or plain HTTP (default: ${formatSize(LIMITS.payloadBytesPerCall)}; the rest is counted)`, parseMaxBytes),
    valued('--fds <list>', 'stdio of these descriptors, as 0-2,7 (default: 0-2)', parseDescriptors),
    new Option('--all-fds', 'stdio of every descriptor (default: those of --fds)'),
    valued('--max-bytes <size>', `of each call on a descriptor (default: ${formatSize(LIMITS.payloadBytesPerCall)}; the rest is counted)`, parseMaxBytes),
    valued('--interval <duration>', 'between two samples of system (default: 2s)', parseInterval),
    valued('--cpu-threshold <percent>', 'warn when a tree of processes uses more, of one processor; with system (default: never)', parsePercent),
    valued('--memory-threshold <size>', 'warn when it has more in memory; with system (default: never)', parseSize),
    new Option('--raw', 'tls chunks and long bodies too, secrets masked (default: what was parsed of them)'),
    new Option('--no-redact', 'leave passwords and keys readable (default: as many * stand for them before anything is written)'),
    valued('--ring-size <size>', `buffer between kernel and collector, a power of two (default: ${formatSize(LIMITS.ringBytes)})`, parseRingSize),
  ],
};

const written = [
  valued('-o, --output <file>', 'events as JSONL, mode 0600 (default: no file)', String),
  new Option('--json', 'events as JSONL on stdout (default: one readable line each)'),
  new Option('-q, --quiet', 'no event lines on the terminal (default: off, on with a command on a terminal)'),
];

const serve = new Option('--serve', 'keep the page up after the run, until Ctrl-C (default: off)');

const output: OptionGroup = {
  heading: 'Where it goes:',
  options: [
    ...written,
    new Option('--no-hub', 'capture only, without store and page (default: both)'),
    serve,
  ],
};

/** Where there is no traffic to choose from, --port can only mean the page's. */
const pageOf = (flag: '--server-port' | '--port, --server-port'): OptionGroup => ({
  heading: 'Store and page:',
  options: [
    valued(`${flag} <port>`, `port of the page on 127.0.0.1; 0 for a free one (default: ${DEFAULT_PORT})`, parsePort),
    valued('--data-dir <dir>', 'where the store lies (default: $XDG_DATA_HOME/agentsight-ts; root: /var/lib/agentsight-ts)', parseDirectory),
    valued('--store <url>', 'a ClickHouse server (default: an embedded engine in the data directory)', parseStoreUrl),
  ],
});

const page = pageOf('--port, --server-port');

const general: OptionGroup = {
  heading: 'General:',
  options: [
    valued('--config <file>', 'settings in JSON (default: $XDG_CONFIG_HOME/agentsight-ts/config.json, if it is there)', String),
    new Option('-v, --verbose', 'debug log, the details of an error, and files that are only read among the lines (default: off)'),
  ],
};

const user = valued('--user <name>', 'whose data it is (default: the user who called sudo, else this one)', String);

/** Not for people: how the collector that sudo raised finds the command that waits for it. */
const internal: OptionGroup = {
  heading: 'Internal:',
  options: [valued('--held <pid:socket>', 'a command that its own user holds', parseHeld).hideHelp()],
};

export const OPTION_GROUPS = {
  trace: [target, keep, output, run, pageOf('--server-port'), general, internal],
  replay: [
    {
      heading: 'What to keep:',
      options: [
        sources,
        excluded,
        ...filters,
        new Option('--raw', 'tls chunks and long bodies too, secrets masked (default: what was parsed of them)'),
        new Option('--no-redact', 'leave what the capture holds readable (default: secrets are masked)'),
      ],
    },
    { heading: 'Where it goes:', options: [...written, new Option('--hub', 'into the store, and show it in the page (default: off)'), serve] },
    page,
    { heading: general.heading, options: [user, ...general.options] },
  ],
  serve: [
    { heading: 'What to do:', options: [new Option('--stop', 'end the hub that is running (default: start one)')] },
    page,
    { heading: general.heading, options: [user, ...general.options] },
  ],
  doctor: [
    { heading: 'What to look at:', options: [repeated('-p, --pid <pid>', 'also a process that you want to trace; repeatable (default: none)', parsePid)] },
    { heading: 'Where it goes:', options: [new Option('--json', 'for programs (default: for people)')] },
    { heading: page.heading, options: page.options },
    { heading: general.heading, options: [user, ...general.options] },
  ],
  config: [
    { heading: 'Where it goes:', options: [new Option('--json', 'for programs (default: for people)')] },
    { heading: general.heading, options: [user, ...general.options] },
  ],
  explain: [
    {
      heading: 'What to explain:',
      options: [
        repeated('--http-filter <filter>', "one of AgentSight's, of what is to be left out; repeatable", translateHttpFilter),
        repeated('--ssl-filter <filter>', "one of AgentSight's, of what is to be left out; repeatable", translateSslFilter),
      ],
    },
  ],
  schema: [],
} as const satisfies Record<string, readonly OptionGroup[]>;

function parseHeld(text: string): HeldElsewhere {
  const colon = text.indexOf(':');
  const socketPath = text.slice(colon + 1);
  if (colon < 1 || !socketPath.startsWith('/')) throw new BadValue(`"${text}" is not PID:SOCKET`);
  return { pid: parsePid(text.slice(0, colon)), socketPath };
}

function valued<T>(flags: string, description: string, parse: Parse<T>): Option {
  return new Option(flags, description).argParser((text) => parseFlag(flags, parse, text));
}

function repeated<T>(flags: string, description: string, parse: Parse<T>): Option {
  return new Option(flags, description).argParser<readonly T[] | undefined>((text, earlier) => [
    ...(earlier ?? []),
    parseFlag(flags, parse, text),
  ]);
}

function parseFlag<T>(flags: string, parse: Parse<T>, text: string): T {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof BadValue)) throw cause;
    const name = flags.match(/--[a-z-]+/g)?.at(-1) ?? flags;
    throw new AgentsightError('USAGE', `could not use ${name}: ${cause.message}`, { cause, hint: cause.hint });
  }
}
