/** How a program's TLS was found, or why not: the doctor, the events and the API say the same of one running process, step by step. */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProbeData, ProbeStep } from '../../src/event.ts';
import type { ApiEvent } from '../../src/hub/api.ts';
import { ofSource, readEvents, runCli, startCli } from '../helpers/cli.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { getAll } from '../helpers/hub.ts';
import { hubFolderPerTest, type HubFolder } from '../helpers/hub-folder.ts';
import { endChild } from '../helpers/live-capture.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { startSilentTlsServer } from '../helpers/silent-tls-server.ts';
import { waitFor } from '../helpers/wait.ts';

const KEPT = ' (kept from an earlier search)';

let programs: TempDir;
beforeAll(() => {
  programs = tempDir();
  execFileSync('cc', ['-O2', '-o', programs.file('with-symbols'), programPath('tls-client.c'), '-l:libssl.a', '-l:libcrypto.a'], { stdio: 'ignore' });
  copyFileSync(programs.file('with-symbols'), programs.file('stripped'));
  execFileSync('strip', [programs.file('stripped')]);
  copyFileSync(programs.file('stripped'), programs.file('misleading'));
  mislead(programs.file('misleading'));
}, 60_000);
afterAll(() => programs.remove());

/** Calls one function otherwise in its error reports, which nobody prints; longer by a byte, so that it is a file that no run has seen. */
function mislead(path: string): void {
  const program = readFileSync(path);
  program.write('SSL_WRITE', program.indexOf('\0SSL_write\0') + 1);
  writeFileSync(path, Buffer.concat([program, Buffer.alloc(1)]));
}

/** As events and API have it. */
type ProbeJson = Omit<ProbeData, 'steps'> & { readonly steps: readonly ProbeStep[] };

interface Told {
  readonly doctor: { readonly status: string; readonly text: string };
  readonly events: readonly ProbeJson[];
  readonly api: readonly ProbeJson[];
}

/** What is said of a client that waits for its answer. */
async function ask(program: string, folder: HubFolder): Promise<Told> {
  const server = await startSilentTlsServer();
  const client = spawn(program, [String(server.port), 'plain'], { stdio: 'ignore' });
  const file = folder.dir.file('trace.jsonl');
  const trace = startCli(['trace', '-q', '--data-dir', folder.dataDir, '--server-port', '0', '-o', file, '-p', String(client.pid)]);
  const probes = (): ProbeJson[] => ofSource(readEvents(file), 'probe').map(({ data }) => data as unknown as ProbeJson).filter(({ path }) => path === program);
  try {
    const socket = await server.asked;
    await waitFor('the program to be looked at', () => probes().length > 0);
    const doctor = await runCli(['doctor', '--json', '--port', '0', '--data-dir', folder.dir.file('doctor'), '-p', String(client.pid)]);
    socket.end();
    expect((await trace.result).code).toBe(0);
    const { checks } = JSON.parse(doctor.stdout) as { readonly checks: readonly { readonly name: string; readonly status: string; readonly text: string }[] };
    const about = checks.filter(({ name, text }) => name === `pid ${client.pid}: tls` && text.includes(program));
    expect(about).toHaveLength(1);
    const api = (await getAll<ApiEvent>(folder.facts(), '/probes')).map(({ data }) => data as unknown as ProbeJson).filter(({ path }) => path === program);
    return { doctor: about[0] ?? { status: '', text: '' }, events: probes(), api };
  } finally {
    await endChild(client);
    trace.child.kill('SIGKILL');
    await server.close();
  }
}

describeKernel('of one process the doctor, the events and the API tell the same', () => {
  const folder = hubFolderPerTest();

  async function expectSame(name: string): Promise<{ readonly doctor: Told['doctor']; readonly probe: ProbeJson }> {
    const told = await ask(programs.file(name), folder);
    expect(told.api).toEqual(told.events);
    // Of the connection that began before the trace another event tells that its plaintext was not seen.
    const [probe, ...more] = told.events.filter(({ status }) => status !== 'unseen') as [ProbeJson];
    expect(more).toEqual([]);
    // The doctor searches anew and attaches nothing.
    const steps = probe.steps.filter(({ step }) => step !== 'attach').map(({ step, outcome }) => `${step}: ${outcome.replace(KEPT, '')}`);
    expect(told.doctor.text.endsWith(`; ${steps.join('; ')}`), `${told.doctor.text}\n${steps.join('\n')}`).toBe(true);
    if (probe.build_id !== null && probe.status === 'attached') expect(told.doctor.text).toContain(`build id ${probe.build_id}, hooked at ${probe.functions.join(', ')} (`);
    return { doctor: told.doctor, probe };
  }

  test('found by its symbols', async () => {
    const { doctor, probe } = await expectSame('with-symbols');
    expect(doctor.status).toBe('ok');
    expect(probe).toMatchObject({ status: 'attached', method: 'internal', library: 'openssl', build_id: expect.stringMatching(/^[0-9a-f]{40}$/) });
    expect(probe.steps.map(({ step }) => step)).toEqual(['symbols', 'attach']);
  });

  test('found by its locator', async () => {
    const { doctor, probe } = await expectSame('stripped');
    expect(doctor.status).toBe('ok');
    expect(probe).toMatchObject({ status: 'attached', method: 'locator', functions: ['ssl_read_internal', 'ssl_write_internal'] });
    expect(probe.steps[0]).toEqual({ step: 'symbols', outcome: 'none of a TLS library' });
    expect(probe.steps.find(({ outcome }) => outcome.startsWith('OpenSSL: found'))).toMatchObject({ step: 'locator' });
  });

  test('recognised, by nothing found: each step says why', async () => {
    const { doctor, probe } = await expectSame('misleading');
    expect(doctor.status).toBe('missing');
    expect(doctor.text).toContain('a name of its functions is missing');
    expect(probe).toMatchObject({ status: 'absent', method: null, library: 'openssl', reason: 'a name of its functions is missing or stands there twice', functions: [] });
    expect(probe.steps.at(-1)).toMatchObject({ step: 'build-id', outcome: expect.stringMatching(/^not in our table/) });
  });
});
