/**
 * The event: the unit of the whole program, from the decoder to the page.
 *
 * In memory an event carries its payload as bytes and its time as a bigint.
 * On disk, over the link and in the API it is one line of JSON whose first key
 * is `timestamp`, a bare integer of epoch nanoseconds; `event-json.ts` holds
 * that form and its schema. An event is never changed after it was made.
 */
import type { Endpoint, NetData, Resettable } from './event-net.ts';
import type { Errno, FileData } from './event-file.ts';
import type { BodyData, HttpData, McpData, SseData, WebsocketData } from './event-protocols.ts';
import type { Nanoseconds } from './time.ts';

export type * from './event-file.ts';
export type * from './event-grpc.ts';
export type * from './event-net.ts';
export type * from './event-protocols.ts';

/** host + boot + start time + pid: names one process for ever. A bare pid never does. */
export type ProcessKey = string & { readonly __brand?: 'ProcessKey' };

/** Fields that every event has, whatever its source. */
export interface EventOf<S extends string, D> {
  readonly timestamp: Nanoseconds;
  readonly source: S;
  /** Thread-group id in the init namespace; 0 where no process is meant. */
  readonly pid: number;
  /** Name of the thread-group leader, never of a thread. */
  readonly comm: string;
  readonly data: D;
  /** `<host>.<boot>.<collector>.<sequence>`, unique everywhere. */
  readonly id: string;
  readonly process: ProcessKey | null;
  /** Key of the traced root process that this one descends from. */
  readonly session: ProcessKey | null;
}

/**
 * SecretMarks that were masked in an event, each once: its kind and a fingerprint that is the same wherever one
 * run of the collector met the same secret. `anthropic:3fa9c2d81b07`
 */
export type SecretMarks = readonly string[];

/** Present only where something was masked, in any event that may hold text. */
export interface Masked {
  readonly secrets?: SecretMarks;
}

export interface ForkData {
  readonly event: 'FORK';
  readonly ppid: number;
  readonly parent: ProcessKey;
}

export interface ExecData extends Masked {
  readonly event: 'EXEC';
  readonly ppid: number;
  readonly parent: ProcessKey;
  readonly filename: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** The file that runs, links resolved; null where it could not be told. For a script: its interpreter. */
  readonly exe: string | null;
  /** Path of the control group, without the mount point: `/system.slice/ssh.service`. */
  readonly cgroup: string | null;
  /** Of Docker, containerd, CRI-O or podman, found in the control group; null on the host. */
  readonly container: string | null;
  /** Of a root, whoever started it: its parent first, up to the first process. Empty for its descendants, whose `parent` leads to it. */
  readonly ancestors: readonly Ancestor[];
  /** True when the command line was longer than the record holds. */
  readonly truncated: boolean;
  /** `true` for a process that ran before the trace began: read from /proc, not seen. */
  readonly existing: boolean;
}

/** A process that is not traced. */
export interface Ancestor {
  readonly pid: number;
  readonly process: ProcessKey;
  readonly comm: string;
}

export interface ExitData {
  readonly event: 'EXIT';
  readonly ppid: number;
  /** 0-255, or null when a signal ended the process. */
  readonly exit_code: number | null;
  /** Name as in `kill -l` with SIG before it, or null. */
  readonly signal: string | null;
  readonly core_dumped: boolean;
  /** Since the process started, not since its last exec; of the launched command since it was let go. */
  readonly duration_ms: number;
  readonly peak_rss_bytes: number;
  /** The kernel only knew an upper bound (inherited over exec). */
  readonly peak_rss_upper_bound: boolean;
  readonly user_ms: number;
  readonly system_ms: number;
  /** By calls like read and write, on files, pipes and sockets together, not by recv and send; null where the kernel does not count it. */
  readonly read_bytes: number | null;
  readonly written_bytes: number | null;
}

export type ProcessData = ForkData | ExecData | ExitData;

export type Direction = 'read' | 'write';
export type TlsLibrary = 'openssl' | 'gnutls' | 'nss' | 'boringssl' | 'rustls' | 'go';
/** Also those that we can tell and do not capture. */
export type NamedTlsLibrary = TlsLibrary | 'jsse' | 'wolfssl' | 'mbedtls' | 's2n' | 'bearssl';

/** What a chunk of bytes that some call carried has in common. */
export interface ChunkData {
  readonly direction: Direction;
  /** Bytes in `payload`. */
  readonly len: number;
  /** Bytes that the whole call carried. */
  readonly total: number;
  /** Where in the call `payload` starts. */
  readonly offset: number;
  readonly payload: Uint8Array;
  /**
   * Bytes left out of `payload`: no parser could read them, so that no secret in
   * them could be found, or they moved within the kernel (sendfile, splice).
   * Present only then; `len` is 0.
   */
  readonly withheld?: number;
  /** The cap was reached: `total` bytes were carried, fewer are in the chunks. */
  readonly truncated: boolean;
  /** Some of the program's memory could not be read: those bytes are zero. */
  readonly fault: boolean;
  readonly tid: number;
}

export interface TlsChunk extends ChunkData {
  readonly event: 'DATA';
  readonly connection: string;
  /** Bytes that the connection carried in this direction before `payload`. */
  readonly position: number;
  readonly library: TlsLibrary;
  /** Where it goes, when that was known by then; see `ENDPOINT`. */
  readonly endpoint: Endpoint | null;
  /** Who its greeting asked for (SNI), when that was seen; see `HELLO` of source `net`. */
  readonly server_name: string | null;
}

/** The connection object was freed. `reset`: its socket had been reset by then, as far as its socket is known. */
export interface TlsClose extends Resettable {
  readonly event: 'CLOSE';
  readonly connection: string;
}

/**
 * The socket of a connection is known, or is another one than was told before.
 * `proven`: bytes passed the socket within a TLS call, or the program's own
 * structures name it. `inferred`: the socket that the thread used last before
 * a read, or next after a write.
 */
export interface TlsEndpoint {
  readonly event: 'ENDPOINT';
  readonly connection: string;
  readonly endpoint: Endpoint;
  readonly server_name: string | null;
  readonly evidence: 'proven' | 'inferred';
  /** null while nothing has passed the connection. */
  readonly library: TlsLibrary | null;
}

/** A handshake that ended. */
export interface TlsHandshake {
  readonly event: 'HANDSHAKE';
  readonly connection: string;
  readonly endpoint: Endpoint | null;
  readonly server_name: string | null;
  /** What the client offered. */
  readonly alpn: readonly string[];
  readonly ok: boolean;
  readonly latency_ms: number;
  readonly library: TlsLibrary;
}

export type TlsData = TlsChunk | TlsClose | TlsEndpoint | TlsHandshake;

/** What became of a signal: `pending` when the same one waited already, `overflow` when the queue refused it. */
export type SignalOutcome = 'delivered' | 'ignored' | 'pending' | 'overflow' | 'failed';

/**
 * A signal that a traced process sent, or that was sent to one. The event is
 * the sender's where that is traced, else the target's.
 */
export interface SignalData {
  /** Name as in `kill -l` with SIG before it. */
  readonly signal: string;
  readonly number: number;
  /** `kernel`: a fault, a broken pipe, a key of the terminal. */
  readonly sent_by: 'process' | 'kernel';
  /** null of a signal that the kernel sent. */
  readonly sender_pid: number | null;
  readonly sender_comm: string | null;
  readonly sender: ProcessKey | null;
  /**
   * Of a call that failed as the program gave it: below 0 is a process group,
   * 0 what a pidfd stood for.
   */
  readonly target_pid: number;
  readonly target_comm: string;
  /** null of a call that failed. */
  readonly target: ProcessKey | null;
  readonly outcome: SignalOutcome;
  readonly error: Errno;
}

/** A line that an interactive bash read. */
export interface ReadlineData extends Masked {
  readonly line: string;
  readonly truncated: boolean;
}

/**
 * A process at the other end of a pipe, a pair of sockets or a terminal.
 * `used`: it was seen to read or write there. `held`: it had that end open.
 */
export interface StdioPeer {
  readonly pid: number;
  readonly process: ProcessKey;
  readonly comm: string;
  readonly fd: number;
  readonly evidence: 'used' | 'held';
}

export interface StdioData extends ChunkData, Masked {
  readonly fd: number;
  readonly role: 'stdin' | 'stdout' | 'stderr' | 'other';
  /** `pipe:[123]`, `socket:[123]`, `/dev/pts/0`, a path, or `inode:[dev:ino]`. */
  readonly target: string;
  /**
   * What the other end's events have as `target`: of a pipe the same, of a pair
   * of sockets the other socket, of a terminal its other side. null where there
   * is no other end, or which it is is not known.
   */
  readonly peer_target: string | null;
  /** Who is at the other end, the one that used it last first. Empty: not known. null: there is none, as of a file. */
  readonly peers: readonly StdioPeer[] | null;
}

/** About ourselves: what was hooked in a binary, and how, or why nothing was. */
export interface ProbeData {
  /** What was looked for there; absent: TLS. */
  readonly subject?: ProbeSubject;
  /** As the process sees it. */
  readonly path: string;
  /** Where the collector found it, when that is another name: the process has a root or mounts of its own. */
  readonly place: string | null;
  readonly build_id: string | null;
  readonly library: NamedTlsLibrary | null;
  /**
   * `suspect`: attached, but what came cannot be what TLS carries for any protocol we know.
   * `unseen`: the process that the event is of speaks TLS, and `reason` says why no plaintext was seen.
   */
  readonly status: 'attached' | 'absent' | 'failed' | 'suspect' | 'unseen';
  /** `internal` is the common callee of the public pair; see bpf/README.md. */
  readonly method: ProbeMethod | null;
  readonly functions: readonly string[];
  readonly reason: string | null;
  /** What was tried, in order, and what came of each step. */
  readonly steps: readonly ProbeStep[];
}

/** `io_uring`: a process uses it, and what it reads and writes through it is not captured. */
export type ProbeSubject = 'readline' | 'io_uring';

/** How a function was found: by symbol, from code (`locator`), from Go's own tables (`pclntab`), or in our table (`build-id`). */
export type ProbeMethod = 'internal' | 'symbol' | 'locator' | 'pclntab' | 'build-id';

export interface ProbeStep {
  readonly step: 'symbols' | 'pclntab' | 'locator' | 'build-id' | 'attach';
  readonly outcome: string;
}

/** Something was lost, how much, and where. Emitted when a counter grew. */
export type SystemThreshold = 'cpu' | 'memory';

/**
 * What a traced process (`PROCESS`), or a root with all that descend from it
 * (`TREE`), used since the sample before, and what it holds now.
 */
export interface SystemData {
  readonly event: 'PROCESS' | 'TREE';
  /** Processes that it is of. */
  readonly processes: number;
  /** Of one processor: two that are busy are 200. */
  readonly cpu_percent: number;
  readonly user_ms: number;
  readonly system_ms: number;
  readonly rss_bytes: number;
  readonly threads: number;
  /** Since the sample before. */
  readonly interval_ms: number;
  /** Of a tree: thresholds that this is over. */
  readonly over: readonly SystemThreshold[];
}

export interface LossData {
  /** Where: kernel, decoder, analyzer, file, link, hub, live. */
  readonly stage: string;
  /** Of which source, where known. */
  readonly of: string;
  readonly cause: string;
  readonly lost: number;
  readonly bytes: number;
  readonly connection: string | null;
  /** Of what the kernel counted: the processors where it was lost, by their number. */
  readonly cpus?: readonly CpuLoss[];
}

export interface CpuLoss {
  readonly cpu: number;
  readonly lost: number;
  readonly bytes: number;
}

export interface LogData {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

export type ProcessEvent = EventOf<'process', ProcessData>;
export type TlsEvent = EventOf<'tls', TlsData>;
export type FileEvent = EventOf<'file', FileData>;
export type NetEvent = EventOf<'net', NetData>;
export type SignalEvent = EventOf<'signal', SignalData>;
export type ReadlineEvent = EventOf<'readline', ReadlineData>;
export type StdioEvent = EventOf<'stdio', StdioData>;
export type HttpEvent = EventOf<'http', HttpData>;
export type BodyEvent = EventOf<'body', BodyData>;
export type SseEvent = EventOf<'sse', SseData>;
export type WebsocketEvent = EventOf<'websocket', WebsocketData>;
export type McpEvent = EventOf<'mcp', McpData>;
export type SystemEvent = EventOf<'system', SystemData>;
export type ProbeEvent = EventOf<'probe', ProbeData>;
export type LossEvent = EventOf<'loss', LossData>;
export type LogEvent = EventOf<'log', LogData>;

export type Event =
  | ProcessEvent
  | TlsEvent
  | StdioEvent
  | FileEvent
  | NetEvent
  | SignalEvent
  | ReadlineEvent
  | HttpEvent
  | BodyEvent
  | SseEvent
  | WebsocketEvent
  | McpEvent
  | SystemEvent
  | ProbeEvent
  | LossEvent
  | LogEvent;

export type Source = Event['source'];

export const SOURCES = [
  'process', 'file', 'net', 'tls', 'stdio', 'signal', 'readline', 'http', 'body', 'sse', 'websocket', 'mcp', 'system', 'probe', 'loss', 'log',
] as const satisfies readonly Source[];

/** Ends an exhaustive switch: the compiler proves that nothing reaches it. */
export function assertUnreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
