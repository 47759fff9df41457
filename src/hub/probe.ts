/** Who is on a port of this machine: a hub (whose?), another program (which?), or nobody. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { z } from 'zod';
import { findUser } from '../user.ts';
import type { Health } from './api.ts';

const healthSchema = z.object({
  name: z.literal('agentsight-ts'),
  version: z.string(),
  protocol: z.int(),
  hub: z.string(),
  uid: z.int(),
  store: z.enum(['ready', 'starting', 'down']),
});

export type PortState =
  | { readonly kind: 'free' }
  | { readonly kind: 'hub'; readonly health: Health }
  | { readonly kind: 'foreign'; readonly owner: string };

const PROBE_MS = 2000;
const ANSWER_MAX_BYTES = 16 * 1024;

export async function probePort(port: number): Promise<PortState> {
  const answer = await askHealth(port);
  if (answer === null) return { kind: 'free' };
  const health = healthSchema.safeParse(answer.json);
  return health.success ? { kind: 'hub', health: health.data } : { kind: 'foreign', owner: describeListener(port) };
}

/** null when nobody listens there. */
function askHealth(port: number): Promise<{ readonly json: unknown } | null> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/health', agent: false, timeout: PROBE_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_MAX_BYTES) request.destroy();
      });
      response.on('close', () => resolve({ json: parse(text) }));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? null : { json: undefined }));
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function userName(uid: number): string {
  try {
    return findUser(String(uid)).name;
  } catch {
    return `user id ${uid}`;
  }
}

const LISTENING = '0A';

/**
 * `python3 (pid 42, user alice)` where the kernel tells: the socket's owner is
 * in /proc/net/tcp for everybody, its process only for that user and root.
 */
export function describeListener(port: number): string {
  const socket = ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => findListener(path, port)).find((found) => found !== undefined);
  if (socket === undefined) return 'another program';
  const pid = findSocketOwner(socket.inode);
  if (pid === undefined) return `a program of user ${userName(socket.uid)}`;
  const comm = readText(`/proc/${pid}/comm`).trim() || 'a program';
  return `${comm} (pid ${pid}, user ${userName(socket.uid)})`;
}

function findListener(path: string, port: number): { readonly uid: number; readonly inode: string } | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readText(path).split('\n').slice(1)) {
    const [, local, , state, , , , uid, , inode] = line.trim().split(/\s+/);
    if (local?.endsWith(suffix) === true && state === LISTENING && uid !== undefined && inode !== undefined) {
      return { uid: Number(uid), inode };
    }
  }
  return undefined;
}

function findSocketOwner(inode: string): string | undefined {
  const target = `socket:[${inode}]`;
  return readdirSync('/proc').find((name) => /^\d+$/.test(name) && descriptorsOf(name).includes(target));
}

function descriptorsOf(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
      } catch {
        return '';
      }
    });
  } catch {
    // Gone, or another user's.
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
