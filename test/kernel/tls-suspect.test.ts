/** A place that was taken for a function of a TLS library and is not one: what passes there gives it away. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { LIMITS } from '../../src/limits.ts';
import { locatedDir } from '../../src/paths.ts';
import { readElfView } from '../../src/runners/locate/elf.ts';
import { createLocatedStore } from '../../src/runners/locate/located-store.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { runCli } from '../helpers/cli.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { captureCommand, command, tlsEvents } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';

const BUILD_ID = randomBytes(20).toString('hex');

let folder: TempDir;
let program: string;
beforeAll(() => {
  folder = tempDir();
  program = folder.file('shuffle');
  execFileSync('cc', ['-O2', `-Wl,--build-id=0x${BUILD_ID}`, '-o', program, programPath('shuffle.c')]);
  const [symbol] = loadAddon().readElf(program, ['shuffle']).symbols;
  if (symbol === undefined) throw new Error('the program has no such function');
  execFileSync('strip', [program]);
  remember(symbol.offset);
});
afterAll(() => {
  for (const name of readdirSync(locatedDir())) if (name.startsWith(BUILD_ID)) rmSync(join(locatedDir(), name));
  folder.remove();
});

/** As though an earlier search had taken the function for SSL_write. */
function remember(offset: number): void {
  const reader = openReader(program);
  try {
    const elf = readElfView(reader);
    if (elf === null) throw new Error('the program is no ELF file');
    createLocatedStore(locatedDir()).put(elf, reader, {
      plan: {
        kind: 'hook', library: 'boringssl', method: 'locator', functions: ['SSL_write'],
        probes: [{ program: 'ssl_write_exit', offset }, { program: 'ssl_write_enter', offset }],
      },
      steps: [{ step: 'locator', outcome: 'found SSL_write' }],
    });
  } finally {
    reader.close();
  }
}

describeKernel('a wrong place', () => {
  test('is told by what passes there, once, with its file and how it was found', async () => {
    const count = LIMITS.tlsSuspectStarts + 3;
    const { events, runner } = await captureCommand(command(program, [String(count)]), { families: ['process', 'tls'] });
    expect(await runner.exit).toMatchObject({ exitCode: 0 });
    expect(tlsEvents(events).filter(({ data }) => data.event === 'DATA')).toHaveLength(count);
    const told = events.filter((event) => event.source === 'probe').filter(({ data }) => data.status === 'suspect');
    expect(told.map(({ data }) => data)).toEqual([expect.objectContaining({
      path: program, library: 'boringssl', method: 'locator', functions: ['SSL_write'], build_id: BUILD_ID,
      reason: expect.stringMatching(/^what passed there begins like no protocol that we know, 2 times \(last in pid \d+ shuffle\): the place may be wrong$/),
    })]);
  });

  test('is a warning of trace, with -q too, when it is noticed and at the end', async () => {
    const result = await runCli(['trace', '--no-hub', '-q', '--', program, String(LIMITS.tlsSuspectStarts + 3)]);
    expect(result.code, result.stderr).toBe(0);
    const lines = result.stderr.split('\n').filter((line) => line.includes(program));
    expect(lines).toEqual([
      expect.stringMatching(/^agentsight-ts: warning: .*: boringssl was found there by locator, but what passed there begins like no protocol/),
      expect.stringMatching(/^agentsight-ts: TLS plaintext may be wrong or missing/),
    ]);
    expect(result.stderr.indexOf('may be wrong or missing')).toBeLessThan(result.stderr.indexOf('traced for'));
  });
});
