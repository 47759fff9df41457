/** Programs that bring their own OpenSSL along: hooked before they begin, so that their only exchange is whole, each of five times. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { broughtFiles } from '../../src/runners/tls-needed.ts';
import { libraryFolders } from '../../src/runners/tls-system.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, conversations } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startRawTlsServer, type RawTlsServer } from '../helpers/raw-tls-server.ts';

const RUNS = 5;
const BODY = Buffer.from('the only answer\n');
const LIBRARIES = ['libssl.so.3', 'libcrypto.so.3'];

let folder: TempDir;
let server: RawTlsServer;
beforeEach(async () => {
  folder = tempDir();
  server = await startRawTlsServer(BODY);
});
afterEach(async () => {
  await server.close();
  folder.remove();
});

/** A file of its own, which nobody has hooked. */
function copyLibraries(to: string): void {
  mkdirSync(to);
  for (const name of LIBRARIES) {
    const from = [...libraryFolders()].map((each) => join(each, name)).find((path) => realOrNull(path) !== null);
    copyFileSync(from ?? name, join(to, name));
  }
}

function realOrNull(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

describeKernel('the libraries that a program brings along', () => {
  test.each([
    // The program asks for libssl alone, which asks for libcrypto: RUNPATH does not count for that.
    ['RUNPATH', ['-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib'], {}, ['libssl.so.3']],
    ['RPATH', ['-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib'], {}, LIBRARIES],
    ['LD_LIBRARY_PATH', [], { LD_LIBRARY_PATH: 'lib' }, LIBRARIES],
  ])('by %s', { timeout: 120_000 }, async (_name, flags, env, brought) => {
    for (let run = 0; run < RUNS; run++) {
      const place = folder.file(String(run));
      mkdirSync(place);
      copyLibraries(join(place, 'lib'));
      const program = join(place, 'tlsget');
      execFileSync('cc', ['-O2', '-o', program, programPath('tlsget.c'), '-Wl,--as-needed', ...flags, `-L${join(place, 'lib')}`, ...LIBRARIES.map((name) => `-l:${name}`)], { stdio: ['ignore', 'ignore', 'inherit'] });
      const linked = { cwd: place, libraryPath: 'LD_LIBRARY_PATH' in env ? 'lib' : null };
      expect(broughtFiles(program, loadAddon().readElf, linked).map((path) => basename(path)).toSorted()).toEqual(brought.toSorted());
      const { events, runner } = await captureCommand(command(program, [String(server.port), `/${run}`], { cwd: place, env: { ...process.env, ...env } }), { families: ['tls', 'process'] });
      expect(await runner.exit).toMatchObject({ exitCode: 0 });
      const carried = server.connections.at(-1);
      expect(conversations(events), `run ${run}`).toEqual([{ comm: 'tlsget', written: carried?.received, read: carried?.sent }]);
      const probes = events.flatMap((event) => (event.source === 'probe' && event.data.path === join(place, 'lib', 'libssl.so.3') ? [event] : []));
      expect(probes.map(({ data }) => data.status)).toEqual(['attached']);
      const began = events.find((event) => event.source === 'process' && event.data.event === 'EXEC' && event.data.filename === program);
      expect((probes[0]?.timestamp ?? 0n) < (began?.timestamp ?? 0n), 'hooked before it began').toBe(true);
    }
  });
});
