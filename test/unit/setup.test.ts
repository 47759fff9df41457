import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BUILDS, digestOf } from '../../src/setup/builds.mjs';
import { KERNEL_LINES, newestOf } from '../../src/setup/kernels.mjs';
import { missingPackages } from '../../src/setup/packages.mjs';
import { checkNode, npmPackagesMatch } from '../../src/setup/setup.mjs';
import { countOf, troubleOf, verdict } from '../../src/setup/report.mjs';
import { choose } from '../../src/setup/test.mjs';
import { ROOT, tempDir } from '../helpers/files.ts';

describe('set-up', () => {
  it('refuses a Node that is too old and takes a newer one', () => {
    expect(() => checkNode('18.20.4')).toThrow('this is Node 18.20.4, and 20.19 is the oldest that works');
    expect(() => checkNode('20.18.1')).toThrow('could not start');
    for (const version of ['20.19.0', '20.20.2', '22.0.0', '24.1.0']) expect(() => checkNode(version)).not.toThrow();
  });

  it('asks for what dpkg does not have installed, removed packages with leftover files too', () => {
    const dpkg = 'ii libbpf-dev:amd64\nii make\nrc curl\nun chromium\n';
    expect(missingPackages(['libbpf-dev', 'make', 'curl', 'chromium', 'openssl'], dpkg)).toEqual(['curl', 'chromium', 'openssl']);
  });

  it('takes the newest kernel of a line by number, and no other flavour', () => {
    const names = [
      'linux-image-6.1.0-9-cloud-amd64', 'linux-image-6.1.0-50-cloud-amd64', 'linux-image-6.1.0-50-cloud-amd64-dbg', 'linux-image-6.1.0-51-amd64',
      'linux-image-6.12-cloud-amd64', 'linux-image-6.12.9+deb12-cloud-amd64', 'linux-image-6.12.117+deb12-cloud-amd64',
    ];
    expect(KERNEL_LINES.map((line) => newestOf(names, line))).toEqual(['linux-image-6.1.0-50-cloud-amd64', 'linux-image-6.12.117+deb12-cloud-amd64']);
    expect(KERNEL_LINES.map((line) => newestOf([], line))).toEqual([undefined, undefined]);
  });

  it('installs npm packages when none are there or a version differs, not for an optional one that is absent', () => {
    const wanted = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0', optional: true } } };
    expect(npmPackagesMatch(wanted, undefined)).toBe(false);
    expect(npmPackagesMatch(wanted, { packages: {} })).toBe(false);
    expect(npmPackagesMatch(wanted, { packages: { 'node_modules/a': { version: '0.9.0' } } })).toBe(false);
    expect(npmPackagesMatch(wanted, { packages: { 'node_modules/a': { version: '1.0.0' } } })).toBe(true);
    expect(npmPackagesMatch(wanted, { packages: { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0' } } })).toBe(false);
  });

  it('knows a build by the contents of what it is made from', () => {
    for (const build of BUILDS) expect(digestOf(build)).toBe(digestOf(build));
    const digests = BUILDS.map((build) => digestOf(build));
    expect(new Set(digests).size).toBe(BUILDS.length);
    const [first] = BUILDS;
    if (first === undefined) throw new Error('nothing is built');
    expect(digestOf({ ...first, inputs: [...first.inputs, 'LICENSE'] })).not.toBe(digestOf(first));
  });
});

describe('the lock of set-ups', () => {
  const lockModule = pathToFileURL(join(ROOT, 'src/setup/lock.mjs')).href;

  /** Holds the lock on `folder` until its stdin ends or it is killed; says `held` on stdout. */
  function holder(folder: string): ChildProcessWithoutNullStreams {
    const script = `
import { withLock } from ${JSON.stringify(lockModule)};
await withLock(${JSON.stringify(folder)}, 'another one', async () => {
  console.log('held');
  for await (const _ of process.stdin);
});
console.log('done');`;
    return spawn(process.execPath, ['--input-type=module', '-e', script]);
  }

  it('lets one work at a time, says what the other waits for, and is free when its holder is killed', async () => {
    const dir = tempDir();
    const first = holder(dir.path);
    await once(first.stdout, 'data');
    const second = holder(dir.path);
    const said = String(await once(second.stderr, 'data'));
    expect(said).toBe('- waiting for another one to end\n');
    const heldBySecond = once(second.stdout, 'data');
    first.kill('SIGKILL');
    expect(String(await heldBySecond)).toBe('held\n');
    second.stdin.end();
    expect(await once(second, 'close')).toEqual([0, null]);
    dir.remove();
  });
});

describe('the test runner', () => {
  it('runs every tier, or those and the files that are named', () => {
    const here = { isCi: false };
    const all = choose([], here);
    expect(all.tiers.map(({ tier }) => tier.name)).toEqual(['unit', 'kernel', 'hub', 'ui']);
    expect(all.leftOut.map(({ name }) => name)).toEqual(['kernels', 'agents']);
    expect(choose([], { isCi: true }).tiers.map(({ tier }) => tier.name)).toEqual(['unit', 'kernel', 'kernels', 'agents', 'hub', 'ui']);
    expect(choose(['kernels'], here)).toMatchObject({ tiers: [{ tier: { name: 'kernels' } }], leftOut: [] });
    expect(choose(['hub', 'test/unit/a.test.ts'], here).tiers.map(({ tier, files }) => [tier.name, files])).toEqual([
      ['unit', ['test/unit/a.test.ts']], ['hub', []],
    ]);
    expect(choose(['kernel', '-t', 'fork tree'], here).vitest).toEqual(['-t', 'fork tree']);
    expect(() => choose(['kernal'], here)).toThrow('there is no tier or test file kernal');
  });

  it('counts what failed without a failed test', () => {
    const report = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 1, numTodoTests: 0, testResults: [] };
    expect(countOf(report, 0)).toEqual({ passed: 3, failed: 0, skipped: 1 });
    expect(countOf(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countOf(report, 1)).toEqual({ passed: 3, failed: 1, skipped: 1 });
    const unloaded = { ...report, testResults: [{ name: '', status: 'failed', assertionResults: [] }] };
    expect(countOf(unloaded, 1)).toEqual({ passed: 3, failed: 1, skipped: 1 });
  });

  it('names what failed, and what passed only when it ran again', () => {
    const results = [
      { status: 'passed', fullName: 'is right', failureMessages: [] },
      { status: 'failed', fullName: 'is wrong', failureMessages: ['Error: 1 is not 2\n    at here', 'Error: again'] },
      { status: 'passed', fullName: 'is late', failureMessages: ['Error: not yet'] },
    ];
    const report = {
      numPassedTests: 2, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0,
      testResults: [
        { name: `${ROOT}/test/unit/a.test.ts`, status: 'failed', assertionResults: results },
        { name: `${ROOT}/test/unit/b.test.ts`, status: 'failed', message: 'SyntaxError', assertionResults: [] },
      ],
    };
    expect(troubleOf('unit', report, 1)).toEqual([
      '✗ unit: test/unit/a.test.ts: is wrong\n    Error: 1 is not 2\n        at here',
      '✗ unit: test/unit/b.test.ts: did not load\n    SyntaxError',
      '! failed, then passed: unit: test/unit/a.test.ts: is late\n    Error: not yet',
    ]);
    expect(troubleOf('unit', undefined, 'SIGKILL')).toEqual(['✗ unit: no test failed, but vitest ended with SIGKILL']);
    expect(troubleOf('unit', { ...report, testResults: [] }, 0)).toEqual([]);
  });

  it('ends with one line over all', () => {
    expect(verdict({ passed: 10, failed: 0, skipped: 0 })).toBe('10 passed, 0 failed');
    expect(verdict({ passed: 10, failed: 1, skipped: 2 })).toBe('10 passed, 1 failed, 2 skipped');
  });
});
