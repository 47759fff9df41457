/**
 * The hub: one data directory with its store, API, page and collectors. Runs in
 * `serve`, or as the child process that `trace` starts.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AgentsightError, causeText } from '../errors.ts';
import { PROTOCOL_VERSION } from '../link/protocol.ts';
import { dataPaths } from '../paths.ts';
import { now } from '../time.ts';
import { VERSION } from '../version.ts';
import type { Health, Info } from './api.ts';
import { Collectors } from './collectors.ts';
import { readHubFile, removeHubFile, writeHubFile } from './hub-file.ts';
import { Live } from './live.ts';
import { lockDataDir, type DataDirLock } from './lock.ts';
import { startServer, type HubServer } from './server.ts';
import { openStore, type Store } from './store/store.ts';
import type { RetentionLimits } from './store/retention.ts';

export interface HubOptions {
  readonly dataDir: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Take any free port when that one is in use. */
  readonly portFallback?: boolean | undefined;
  /** URL of a ClickHouse server instead of the embedded engine. */
  readonly store?: string | undefined;
  readonly limits?: RetentionLimits | undefined;
  /** Disk space below which inserts stop. */
  readonly freeDiskBytes?: number | undefined;
  /** Leaves this long after its last collector and page; never when left out. */
  readonly idleMs?: number | undefined;
  readonly pageDir?: string | undefined;
  readonly log: (text: string) => void;
}

export interface HubHandle {
  /** Page address with its token. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly socketPath: string;
  readonly hub: string;
  /** Process of the embedded engine, while it runs. */
  readonly enginePid: number | null;
  /** Settles when the hub has ended: by `close`, or because nobody needed it any more. */
  readonly closed: Promise<void>;
  /** Drains and ends. Safe twice. */
  close(): Promise<void>;
}

/** Throws DATA_DIR_LOCKED, DATA_DIR_UNUSABLE, PORT_IN_USE, STORE_ENGINE_MISSING, STORE_FAILED. */
export async function runHub(options: HubOptions): Promise<HubHandle> {
  const lock = lockDataDir(options.dataDir);
  const hub = new Hub(options, lock);
  try {
    await hub.start();
  } catch (error) {
    await hub.close();
    throw error;
  }
  return hub;
}

/** sockaddr_un holds 108 bytes with the NUL. */
const SOCKET_PATH_MAX_BYTES = 107;

class Hub implements HubHandle {
  readonly token: string;
  readonly hub = randomBytes(8).toString('hex');
  readonly closed: Promise<void>;
  readonly #options: HubOptions;
  readonly #lock: DataDirLock;
  readonly #live: Live;
  #store: Store | null = null;
  #collectors: Collectors | null = null;
  #server: HubServer | null = null;
  #idleTimer: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  #socketPath = '';
  #settleClosed: () => void = () => undefined;

  constructor(options: HubOptions, lock: DataDirLock) {
    this.#options = options;
    this.#lock = lock;
    this.token = leftToken(options.dataDir) ?? randomBytes(24).toString('base64url');
    this.#live = new Live({ hub: this.hub, info: () => this.#info(), onPages: () => this.#checkIdle() });
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/?token=${this.token}`;
  }

  get socketPath(): string {
    return this.#socketPath;
  }

  get enginePid(): number | null {
    return this.#store?.enginePid ?? null;
  }

  async start(): Promise<void> {
    const { dataDir, log } = this.#options;
    const store = await openStore({
      dataDir, log,
      url: this.#options.store,
      limits: this.#options.limits,
      freeDiskBytes: this.#options.freeDiskBytes,
    });
    this.#store = store;
    this.#server = await this.#serve(store, this.#options.port);
    this.#collectors = new Collectors({
      store, log,
      publish: (lines) => this.#live.publish(lines),
      version: VERSION,
      hub: this.hub,
      url: () => this.url,
      onCollectors: () => this.#checkIdle(),
    });
    this.#socketPath = chooseSocketPath(dataDir);
    rmSync(this.#socketPath, { force: true });
    await this.#collectors.listen(this.#socketPath);
    chmodSync(this.#socketPath, 0o600);
    writeHubFile(dataDir, {
      pid: process.pid,
      port: this.port,
      url: this.url,
      version: VERSION,
      protocol: PROTOCOL_VERSION,
      hub: this.hub,
      socket: this.#socketPath,
    });
    this.#checkIdle();
    log(`hub ${VERSION} on 127.0.0.1:${this.port}, data in ${dataDir}`);
  }

  async #serve(store: Store, port: number): Promise<HubServer> {
    try {
      return await startServer({
        port, store,
        token: this.token,
        live: this.#live,
        health: () => this.#health(),
        info: () => this.#info(),
        storing: () => this.#collectors?.storing ?? false,
        pageDir: this.#options.pageDir,
        log: this.#options.log,
      });
    } catch (error) {
      const taken = error instanceof AgentsightError && error.code === 'PORT_IN_USE';
      if (!taken || port === 0 || this.#options.portFallback !== true) throw error;
      return this.#serve(store, 0);
    }
  }

  #health(): Health {
    return {
      name: 'agentsight-ts',
      version: VERSION,
      protocol: PROTOCOL_VERSION,
      hub: this.hub,
      uid: process.getuid?.() ?? 0,
      store: this.#store?.state ?? 'starting',
    };
  }

  async #info(): Promise<Info> {
    if (this.#store === null) throw new AgentsightError('STORE_FAILED', 'could not reach the store: the hub is starting');
    return {
      version: VERSION,
      host: hostname(),
      now: String(now()),
      store: await this.#store.info(),
      collectors: this.#collectors?.list() ?? [],
      live: { pages: this.#live.pages, dropped: this.#live.dropped },
    };
  }

  #checkIdle(): void {
    const { idleMs } = this.#options;
    if (idleMs === undefined || this.#closing !== null) return;
    const needed = this.#live.pages > 0 || (this.#collectors?.connected ?? 0) > 0;
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#idleTimer = needed ? null : setTimeout(() => {
      this.#options.log('nobody needs the hub any more');
      this.close().catch((error: unknown) => this.#options.log(causeText(error)));
    }, idleMs);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    removeHubFile(this.#options.dataDir, process.pid);
    await this.#collectors?.close();
    await this.#server?.close();
    await this.#store?.close();
    this.#removeSocketDir();
    this.#lock.release();
    this.#settleClosed();
  }

  #removeSocketDir(): void {
    if (this.#socketPath === '' || this.#socketPath === dataPaths(this.#options.dataDir).hubSocket) return;
    rmSync(dirname(this.#socketPath), { recursive: true, force: true });
  }
}

/** A hub that was killed left its file: with the same token, the pages that are open find their way back. */
function leftToken(dataDir: string): string | null {
  const file = readHubFile(dataDir, process.getuid?.());
  return file === null ? null : new URL(file.url).searchParams.get('token');
}

/**
 * In the data directory, or, where that path is too long for a socket, in a
 * short folder of our own: the same after a restart, so that collectors find it.
 */
function chooseSocketPath(dataDir: string): string {
  const path = dataPaths(dataDir).hubSocket;
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX_BYTES) return path;
  const uid = process.getuid?.() ?? 0;
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  const folder = join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `agentsight-${uid}-${name}`);
  const short = join(folder, 'hub.sock');
  if (Buffer.byteLength(short) > SOCKET_PATH_MAX_BYTES) throw socketError(short, `it is longer than ${SOCKET_PATH_MAX_BYTES} bytes`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // In a shared /tmp somebody else may have been there first.
  const facts = lstatSync(folder);
  if (!facts.isDirectory() || facts.uid !== uid) throw socketError(short, 'its folder belongs to somebody else');
  chmodSync(folder, 0o700);
  return short;
}

function socketError(path: string, cause: string): AgentsightError {
  return new AgentsightError('DATA_DIR_UNUSABLE', `could not place the hub's socket at ${path}: ${cause}`, {
    hint: 'set TMPDIR or XDG_RUNTIME_DIR to another folder, or give a shorter --data-dir',
  });
}
