/** The last step of the ladder decides for a real program: bun, changed where its locator looks and nowhere else. */
import { closeSync, copyFileSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.ts';
import { locatedDir } from '../../src/paths.ts';
import { readElfView, type ElfView } from '../../src/runners/locate/elf.ts';
import { findErrorSites } from '../../src/runners/locate/error-sites.ts';
import { createLadder, type Found } from '../../src/runners/locate/ladder.ts';
import { openReader } from '../../src/runners/locate/reader.ts';
import { agentProgram } from '../../src/setup/agents.mjs';
import { captureAgent, describeAgents, expectWhole } from '../helpers/agents.ts';
import { tempDir, type TempDir } from '../helpers/files.ts';
import { startTlsRecorder, type TlsRecorder } from '../helpers/tls-recorder.ts';

const ERR_LIB_SSL = 16;
const UNINITIALIZED = 226;
/** mov edi, imm32: the number follows the opcode. */
const IMMEDIATE_OFFSET = 1;
const BODY = 'a line of the answer\n'.repeat(4000);
const FETCH = `
const reply = await fetch(process.argv[2], { method: 'POST', body: 'of many bytes '.repeat(3000) });
console.log((await reply.text()).length);
`;

function withElf<T>(path: string, use: (elf: ElfView) => T): T {
  const reader = openReader(path);
  try {
    const elf = readElfView(reader);
    if (elf === null) throw new Error(`${path} is no ELF file`);
    return use(elf);
  } finally {
    reader.close();
  }
}

/** File offsets of the reports by which the locator knows SSL_write. */
function reportsIn(elf: ElfView): number[] {
  const search = findErrorSites(elf, { library: ERR_LIB_SSL, reasons: new Set([UNINITIALIZED]) });
  for (;;) {
    const step = search.next();
    if (step.done === true) return step.value.map(({ address }) => elf.offsetOf(address) ?? 0);
  }
}

/** These reports name another library, which nobody sees; one byte longer, so that nothing is kept of a file like it. */
function mislead(path: string): void {
  const places = withElf(path, reportsIn);
  expect(places.length).toBeGreaterThan(0);
  const descriptor = openSync(path, 'r+');
  for (const place of places) writeSync(descriptor, Buffer.of(ERR_LIB_SSL + 1), 0, 1, place + IMMEDIATE_OFFSET);
  closeSync(descriptor);
  truncateSync(path, statSync(path).size + 1);
}

describeAgents('a program whose locator finds nothing', () => {
  let folder: TempDir;
  let recorder: TlsRecorder;
  let program: string;
  beforeEach(async () => {
    folder = tempDir();
    program = folder.file('bun');
    copyFileSync(agentProgram('bun'), program);
    mislead(program);
    forget();
    recorder = await startTlsRecorder(createServer((request, response) => void request.resume().on('end', () => response.end(BODY))));
  });
  afterEach(async () => {
    await recorder.close();
    forget();
    folder.remove();
  });

  /** What a capture keeps of this file, between two runs of the test as well. */
  function forget(): void {
    const buildId = withElf(program, (elf) => elf.buildId);
    rmSync(join(locatedDir(), `${buildId}-${statSync(program).size}.json`), { force: true });
  }

  function locate(path: string): Promise<Found> {
    return createLadder({ readElf: loadAddon().readElf, store: null }).locate(path);
  }

  test('is hooked by its build id, at the places that the locator found before', async () => {
    const before = await locate(agentProgram('bun'));
    const found = await locate(program);
    expect(before.plan).toMatchObject({ kind: 'hook', method: 'locator' });
    expect(found.plan).toEqual({ ...before.plan, method: 'build-id' });
    expect(found.steps).toContainEqual({ step: 'locator', outcome: 'BoringSSL: no SSL_write' });
    expect(found.steps.at(-1)).toEqual({ step: 'build-id', outcome: 'found SSL_read, SSL_write' });

    writeFileSync(folder.file('program.mjs'), FETCH);
    const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0', DO_NOT_TRACK: '1' };
    const seen = await captureAgent({ program, args: ['program.mjs', `https://localhost:${recorder.port}/`], env, folder });
    expect(seen.output).toContain(`${BODY.length}\n`);
    expectWhole(seen, recorder, {
      row: 'bun, known by its build id', path: program, library: 'boringssl', method: 'build-id', functions: ['SSL_read', 'SSL_write'],
    });
  });

  test('is not hooked by the offsets of another build', async () => {
    const buildId = Buffer.from(withElf(program, (elf) => elf.buildId) ?? '', 'hex');
    const note = readFileSync(program).indexOf(buildId);
    const descriptor = openSync(program, 'r+');
    writeSync(descriptor, Buffer.of((buildId[0] ?? 0) ^ 1), 0, 1, note);
    closeSync(descriptor);
    const { plan, steps } = await locate(program);
    expect(plan.kind).toBe('none');
    expect(steps.at(-1)).toEqual({ step: 'build-id', outcome: 'not in our table' });
  });
});
