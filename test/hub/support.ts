/** A hub inside the test's own process, with a real engine, on a random port and in a folder that is gone afterwards. */
import { runHub, type HubHandle, type HubOptions } from '../../src/hub/main.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';

/** The development disk may be small; what a full one does is tested on its own. */
export const FREE_DISK_BYTES = 64 * 1024 * 1024;

export interface TestHub {
  readonly hub: HubHandle;
  readonly dir: TempDir;
  readonly origin: string;
  readonly logged: string[];
  /** GET with the token. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** The body of a GET that must succeed. */
  get<T>(path: string): Promise<T>;
  close(): Promise<void>;
}

export async function startTestHub(options: Partial<HubOptions> = {}, dir: TempDir = tempDir()): Promise<TestHub> {
  const logged: string[] = [];
  const hub = await runHub({
    dataDir: dir.file('data'),
    port: 0,
    freeDiskBytes: FREE_DISK_BYTES,
    log: (text) => logged.push(text),
    ...options,
  });
  const origin = `http://127.0.0.1:${hub.port}`;
  const request = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${origin}${path}`, { ...init, headers: { authorization: `Bearer ${hub.token}`, ...init.headers } });
  return {
    hub, dir, origin, logged, request,
    async get<T>(path: string) {
      const response = await request(path);
      if (response.status !== 200) throw new Error(`GET ${path} gave ${response.status}: ${await response.text()}`);
      return await response.json() as T;
    },
    async close() {
      await hub.close();
      dir.remove();
    },
  };
}
