/** A process that is traced alone: its hooks catch all its threads, and are in no other process. */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAddon, NO_SELECTION, type Addon, type UprobeTarget } from '../../src/addon.ts';
import { CERTIFICATE_PROGRAM, programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { conversations, startCapture, type RunningCapture } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** Installed hooks of other traces are in that library, too: a copy is ours alone. */
const INSTALLED = '/usr/lib/x86_64-linux-gnu/libssl.so.3';

/** At each line of its input it talks with itself over TLS: in threads of these names, by its main one, or after an exec by either. */
const TALK = `
import os, ssl, sys, threading
certificate, key = sys.argv[1:3]
def talk(name):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(left, right), server.wrap_bio(right, left, server_side=True)
    for _ in range(4):
        for end in ends:
            try: end.do_handshake()
            except ssl.SSLWantReadError: pass
    ends[0].write(name.encode())
    assert ends[1].read(100) == name.encode()
def execute(): os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
print('ready', os.getpid(), flush=True)
for line in sys.stdin:
    words = line.split()
    if words == ['exec']: execute()
    elif words == ['exec-by-thread']: threading.Thread(target=execute).start()
    else:
        threads = [threading.Thread(target=talk, args=[word]) for word in words]
        for one in threads: one.start()
        for one in threads: one.join()
        talk('main')
        print('talked', flush=True)
`;

let folder: TempDir;
let library: string;
let shells: ChildProcessByStdio<Writable, Readable, null>[];
let capture: RunningCapture | null;
let hooked: UprobeTarget[];
beforeEach(() => {
  folder = tempDir();
  library = folder.file('libssl.so.3');
  copyFileSync(INSTALLED, library);
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.path]);
  [shells, capture, hooked] = [[], null, []];
});
afterEach(async () => {
  await capture?.runner.stop();
  await Promise.all(shells.map(async (shell) => {
    if (shell.exitCode !== null) return;
    shell.stdin.end();
    await once(shell, 'exit');
  }));
  folder.remove();
});

interface Running {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
}

/** Through a shell: a child of our own that executes a program is taken for one of the collector's. It ends with its input. */
async function start(program: string, args: readonly string[]): Promise<Running> {
  const shell = spawn('sh', ['-c', '"$@"; true', 'sh', program, ...args], { env: { ...process.env, LD_LIBRARY_PATH: folder.path }, stdio: ['pipe', 'pipe', 'inherit'] });
  shells.push(shell);
  const text = await said(shell, /ready \d+\n/);
  return { pid: Number(/\d+/.exec(text)?.[0]), stdin: shell.stdin, stdout: shell.stdout };
}

const startTalker = (): ReturnType<typeof start> => start('/usr/bin/python3', ['-S', '-c', TALK, folder.file('cert.pem'), folder.file('key.pem')]);

async function said({ stdout }: { readonly stdout: Readable }, words: RegExp): Promise<string> {
  let text = '';
  while (!words.test(text)) text += String((await once(stdout, 'data'))[0]);
  return text;
}

/** The addon, with a note of what is hooked. */
function noting(addon: Addon): Addon {
  return {
    ...addon,
    openCapture(options) {
      const opened = addon.openCapture(options);
      return {
        load: () => opened.load(),
        trace: (pid, root) => opened.trace(pid, root),
        isTraced: (pid) => opened.isTraced(pid),
        attachUprobe(target) {
          hooked.push(target);
          return opened.attachUprobe(target);
        },
        detachUprobe: (id) => opened.detachUprobe(id),
        watchMappings: (onMappings) => opened.watchMappings(onMappings),
        sweep: () => opened.sweep(),
        start: (onBatch) => opened.start(onBatch),
        drain: () => opened.drain(),
        kernelCounters: () => opened.kernelCounters(),
        counters: () => opened.counters(),
        close: () => opened.close(),
      };
    },
  };
}

async function traceAlone(pid: number, follow = false): Promise<RunningCapture> {
  capture = startCapture({ addon: noting(loadAddon()), pids: [pid], selection: { ...NO_SELECTION, follow }, families: ['process', 'tls'] });
  await capture.ready;
  return capture;
}

/** Where hooks of the library would be in the process: how many of them the process has, and how many there are. */
function trapsIn(pid: number): { readonly traps: number; readonly places: number } {
  const original = readFileSync(library);
  const offsets = [...new Set(hooked.filter(({ path }) => isLibrary(path)).map(({ offset }) => offset))];
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const mappings = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter((line) => line.endsWith(library) && line.includes('r-xp'));
    const bytes = mappings.flatMap((line) => {
      const [, begin = '', end = '', from = ''] = /^(\w+)-(\w+) \S+ (\w+)/.exec(line) ?? [];
      const [low, high, first] = [begin, end, from].map((text) => Number.parseInt(text, 16)) as [number, number, number];
      return offsets.filter((offset) => offset >= first && offset < first + high - low).map((offset) => ({ offset, byte: byteAt(memory, low + offset - first) }));
    });
    return { traps: bytes.filter(({ offset, byte }) => byte === 0xcc && original[offset] !== 0xcc).length, places: bytes.length };
  } finally {
    closeSync(memory);
  }
}

function isLibrary(path: string): boolean {
  return path === library || path.includes('/map_files/');
}

function byteAt(memory: number, address: number): number {
  const byte = Buffer.alloc(1);
  readSync(memory, byte, 0, 1, address);
  return byte[0] as number;
}

/** What was written on each connection, once: `conversations` throws where anything comes twice. */
function written({ events }: RunningCapture): string[] {
  return conversations(events).map(({ written: text }) => String(text)).filter((text) => text !== '').toSorted();
}

async function talk(child: Running, names: string): Promise<void> {
  child.stdin.write(`${names}\n`);
  await said(child, /talked/);
}

describeKernel('a process that is traced alone', () => {
  test('is hooked in all its threads, and no other process with its library is', async () => {
    const [target, other] = [await startTalker(), await startTalker()];
    const running = await traceAlone(target.pid);
    expect(new Set(hooked.map(({ pid }) => pid))).toEqual(new Set([target.pid]));
    const { traps, places } = trapsIn(target.pid);
    expect(places).toBeGreaterThan(2);
    expect(traps).toBe(places);
    expect(trapsIn(other.pid)).toEqual({ traps: 0, places });
    await talk(other, 'unseen');
    await talk(target, 'one two three four');
    await running.runner.stop();
    await running.done;
    expect(written(running)).toEqual(['four', 'main', 'one', 'three', 'two']);
  });

  test('where its children are followed, is hooked by inode: in every process', async () => {
    const [target, other] = [await startTalker(), await startTalker()];
    await traceAlone(target.pid, true);
    expect(new Set(hooked.map(({ pid }) => pid))).toEqual(new Set([null]));
    const { traps, places } = trapsIn(other.pid);
    expect(places).toBeGreaterThan(2);
    expect(traps).toBe(places);
  });

  test.each([
    ['its first thread', 'exec', false],
    ['another thread', 'exec-by-thread', true],
  ])('is hooked after %s has executed a program', async (_, order, forAll) => {
    const target = await startTalker();
    const running = await traceAlone(target.pid);
    await talk(target, 'before');
    target.stdin.write(`${order}\n`);
    await said(target, /ready/);
    await waitFor('the new image to be hooked', () => {
      const { traps, places } = trapsIn(target.pid);
      return traps === places && places > 2 && hooked.some(({ pid, path }) => pid === null && isLibrary(path)) === forAll;
    });
    await talk(target, 'after');
    await running.runner.stop();
    await running.done;
    expect(written(running)).toEqual(['after', 'before', 'main', 'main']);
  });

  test('whose first thread has ended is hooked by inode when it loads a library', async () => {
    const program = folder.file('leaderless');
    execFileSync('cc', ['-O2', '-pthread', '-o', program, programPath('leaderless.c')]);
    const target = await start(program, [INSTALLED]);
    await traceAlone(target.pid);
    expect(hooked.some(({ pid }) => pid === null)).toBe(false);
    target.stdin.write('go\n');
    await said(target, /loaded/);
    await waitFor('the library to be hooked for all', () => hooked.some(({ pid, path }) => pid === null && path === INSTALLED));
  });
});
