import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NO_SELECTION } from '../../src/addon.ts';
import { selectionOf, selectionText, type SelectorFlags } from '../../src/cli/selection.ts';
import { AgentsightError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { cgroupMountsIn, findCgroup } from '../../src/runners/cgroup.ts';
import { ROOT, tempDir, type TempDir } from '../helpers/files.ts';

const ID = 'fedcba9876543210'.repeat(4);

let folder: TempDir;
beforeEach(() => {
  folder = tempDir();
});
afterEach(() => {
  vi.unstubAllEnvs();
  folder.remove();
});

function program(name: string, text: string): string {
  const path = folder.file(name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

function refusal(flags: SelectorFlags): AgentsightError {
  try {
    selectionOf(flags);
  } catch (error) {
    if (error instanceof AgentsightError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('the selectors of a command line', () => {
  it('choose nothing where none is given', () => {
    expect(selectionOf({})).toEqual(NO_SELECTION);
    expect(selectionOf({ follow: false }).follow).toBe(false);
  });

  it('have each value once', () => {
    expect(selectionOf({ comm: ['a', 'b', 'a'], port: [80, 80] })).toMatchObject({ comms: ['a', 'b'], ports: [80] });
  });

  it('know users by number, known or not, and by name', () => {
    expect(selectionOf({ uid: ['root', '0', '4000000000'] }).uids).toEqual([0, 4_000_000_000]);
    expect(refusal({ uid: ['no-such-user-anywhere'] }).code).toBe('USER_UNKNOWN');
  });

  it('know programs by path and by name, links resolved', () => {
    const tool = program('tool', 'not a script');
    symlinkSync(tool, folder.file('alias'));
    vi.stubEnv('PATH', folder.path);
    expect(selectionOf({ exe: [folder.file('alias'), 'alias', 'tool'] }).exes).toEqual([tool]);
  });

  it('refuse a program that is not there, and a script, which never runs itself', () => {
    expect(refusal({ exe: ['/no/such/program'] })).toMatchObject({ code: 'TARGET_NOT_FOUND', message: expect.stringContaining('/no/such/program') as string });
    expect(refusal({ exe: ['no-such-program'] }).hint).toContain('PATH');
    expect(refusal({ exe: [program('script', '#!/bin/sh\n')] })).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('--comm') as string });
  });

  it('take the path of a program in a container or a group as it is', () => {
    expect(selectionOf({ exe: ['/app/only-there'], container: [ID] }).exes).toEqual(['/app/only-there']);
  });

  it('know containers by the beginning of their id', () => {
    expect(selectionOf({ container: [ID.slice(0, 12).toUpperCase()] }).containers).toEqual([ID.slice(0, 12)]);
  });

  it('ask docker and podman for a name, and refuse what neither knows', () => {
    vi.stubEnv('PATH', folder.path);
    program('docker', '#!/bin/sh\nexit 1\n');
    program('podman', `#!/bin/sh\n[ "$7" = web ] && echo ${ID}\n`);
    expect(selectionOf({ container: ['web'] }).containers).toEqual([ID]);
    expect(refusal({ container: ['other'] })).toMatchObject({ code: 'TARGET_NOT_FOUND', message: expect.stringContaining('other') as string });
  });

  it('refuse a control group that is not there, and the one that holds everything', () => {
    expect(refusal({ cgroup: ['/no-such-group-anywhere'] }).code).toBe('TARGET_NOT_FOUND');
    expect(refusal({ cgroup: ['/'] })).toMatchObject({ code: 'USAGE', message: expect.stringContaining('every process') as string });
  });

  it('refuse more values than the kernel compares with', () => {
    const many = Array.from({ length: LIMITS.selectors + 1 }, (_, index) => index + 1);
    expect(refusal({ port: many }).message).toContain(`more than the ${LIMITS.selectors}`);
    expect(refusal({ uid: many.map(String) }).code).toBe('USAGE');
    expect(selectionOf({ port: many.slice(1) }).ports).toHaveLength(LIMITS.selectors);
  });

  it('have the limits of the programs', () => {
    const shared = readFileSync(`${ROOT}/bpf/shared.h`, 'utf8');
    const value = (name: string): number => Number(new RegExp(`^#define ${name} (\\d+)$`, 'm').exec(shared)?.[1]);
    expect([value('MAX_COMMS'), value('MAX_SELECTORS'), value('MAX_SELECTOR_BYTES'), value('MAX_SELECTED_FDS')]).toEqual([
      LIMITS.selectedNames, LIMITS.selectors, LIMITS.selectorBytes + 1, LIMITS.selectedFds,
    ]);
  });

  it('are told in words', () => {
    expect(selectionText({ ...NO_SELECTION, comms: ['a', 'b'], uids: [7] })).toBe('of name a or b, of user 7');
    expect(selectionText(NO_SELECTION)).toBe('');
  });
});

describe('a control group', () => {
  const mountinfo = (point: string): string => [
    `30 23 0:26 / ${point}/v1 rw - cgroup cgroup rw,memory`, '31 23 0:27 / /proc rw - proc proc rw', `32 23 0:28 /below ${point}/v\\0402 rw shared:9 - cgroup2 cgroup2 rw`,
  ].join('\n');

  it('is found by its path and by its folder, in whatever hierarchy it is', () => {
    mkdirSync(folder.file('v 2/a/b'), { recursive: true });
    mkdirSync(folder.file('v1/only'), { recursive: true });
    const mounts = cgroupMountsIn(mountinfo(folder.path));
    expect(mounts).toEqual([{ point: folder.file('v 2'), root: '/below' }, { point: folder.file('v1'), root: '/' }]);
    expect(findCgroup(`${folder.path}/v 2/a/b/`, mounts)).toBe('/below/a/b');
    expect(findCgroup(`${folder.path}/v1/only`, mounts)).toBe('/only');
    expect(findCgroup(folder.file('v1'), mounts)).toBe('/');
    expect(['/only', 'only/', '/only/.'].map((path) => findCgroup(path, mounts))).toEqual(['/only', '/only', '/only']);
    expect(findCgroup('/none', mounts)).toBeNull();
    expect(findCgroup(`${folder.path}/v1/none`, mounts)).toBeNull();
  });
});
