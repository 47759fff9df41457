import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configPathOf, loadConfig } from '../../src/config.ts';
import type { ConfigRequest } from '../../src/config.ts';
import { AgentsightError } from '../../src/errors.ts';
import type { User } from '../../src/user.ts';
import { itAsRoot } from '../helpers/privilege.ts';

let folder = '';
let user: User;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agentsight-config-'));
  user = { name: 'someone', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, home: folder };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(request: Partial<ConfigRequest> = {}) {
  return loadConfig({ flags: {}, environment: {}, user, ...request });
}

async function refusal(request: Partial<ConfigRequest>): Promise<AgentsightError> {
  const error = await load(request).then(() => undefined, (reason: unknown) => reason);
  if (error instanceof AgentsightError) return error;
  throw new Error(`expected a refusal, got ${String(error)}`);
}

function write(content: unknown, name = 'config.json'): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('settings', () => {
  it('have defaults without any file or variable', async () => {
    const { settings, file } = await load();
    expect(settings).toMatchObject({ port: 7395, ringSize: 16 * 1024 * 1024, maxPayload: 4 * 1024 * 1024, plainPorts: [], redact: true, raw: false, hub: true, store: null });
    expect(settings.sources).toEqual(['process', 'file', 'net', 'tls', 'stdio', 'http', 'sse', 'websocket', 'mcp']);
    expect(file).toBeNull();
  });

  it('come from the flag before the variable, the variable before the file, the file before the default', async () => {
    const file = write({ port: 1, ringSize: '1M', redact: false });
    const { settings, origins } = await load({
      file, environment: { AGENTSIGHT_PORT: '2', AGENTSIGHT_RING_SIZE: '2M' }, flags: { port: 3 },
    });
    expect([settings.port, settings.ringSize, settings.redact, settings.raw]).toEqual([3, 2 * 1024 * 1024, false, false]);
    expect(origins).toMatchObject({ port: 'flag', ringSize: 'AGENTSIGHT_RING_SIZE', redact: file, raw: 'default' });
  });

  it('of payload and plain ports come from all three places', async () => {
    const file = write({ maxPayload: '64K', plainPorts: [8080, 3000] });
    expect((await load({ file })).settings).toMatchObject({ maxPayload: 65_536, plainPorts: [8080, 3000] });
    const environment = { AGENTSIGHT_MAX_PAYLOAD: '1K', AGENTSIGHT_PLAIN_PORT: '80,81,80' };
    expect((await load({ file, environment })).settings).toMatchObject({ maxPayload: 1024, plainPorts: [80, 81] });
    expect((await load({ file, environment, flags: { maxPayload: 7, plainPorts: [9] } })).settings).toMatchObject({ maxPayload: 7, plainPorts: [9] });
    expect((await load({ file: write({ plainPorts: 8080 }) })).settings.plainPorts).toEqual([8080]);
  });

  it('are read from the config folder of the user', async () => {
    mkdirSync(join(folder, '.config/agentsight-ts'), { recursive: true });
    const path = configPathOf(user, {});
    writeFileSync(path, '{ "sources": ["http", "process"], "dataDir": "/somewhere" }');
    const { settings, file } = await load();
    expect(file).toBe(path);
    expect(settings.sources).toEqual(['process', 'http']);
    expect(settings.dataDir).toBe('/somewhere');
    expect(configPathOf(user, { XDG_CONFIG_HOME: '/elsewhere' })).toBe('/elsewhere/agentsight-ts/config.json');
  });

  it('treat an empty variable as unset and doubt an unknown one', async () => {
    const { settings, warnings } = await load({ environment: { AGENTSIGHT_PORT: '', AGENTSIGHT_REDCT: '0' } });
    expect(settings.port).toBe(7395);
    expect(warnings).toEqual(['AGENTSIGHT_REDCT is not a setting and was left aside: did you mean AGENTSIGHT_REDACT?']);
  });
});

describe('a bad setting', () => {
  it.each([
    [{ prot: 1 }, 'there is no setting "prot"', 'did you mean "port"?'],
    [{ port: true }, '"port" must be text or a number', undefined],
    [{ port: 99_999 }, '"port" in', 'ports go from 1'],
    [{ ringSize: '3M' }, '"ringSize" in', '2M and 4M'],
    [{ maxPayload: '65M' }, 'no more than 64M', undefined],
    [{ plainPorts: [] }, '"plainPorts" in', undefined],
    [{ plainPorts: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, '8 ports are the most, not 9', 'first bytes'],
    [{ redact: 'no' }, '"redact" must be true or false', undefined],
    [{ dataDir: 'relative' }, '"dataDir" must be an absolute path', undefined],
    [[1], 'it must hold one JSON object', undefined],
    ['{ "port": 1, }', 'it is not valid JSON', 'commas'],
  ])('in the file %j is named with the file', async (content, message, hint) => {
    const file = write(content);
    const error = await refusal({ file });
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(message);
    expect(error.message).toContain(file);
    if (hint !== undefined) expect(error.hint).toContain(hint);
  });

  it('in a variable is named with the variable', async () => {
    const error = await refusal({ environment: { AGENTSIGHT_HUB: 'maybe' } });
    expect(error.message).toBe('could not use AGENTSIGHT_HUB: "maybe" is neither yes nor no');
  });

  it('does not quote a file that is not JSON', async () => {
    expect((await refusal({ file: write('root:x:secret') })).message).not.toContain('secret');
  });

  it('names a file that was asked for and is not there, is no file, or is too long', async () => {
    expect((await refusal({ file: join(folder, 'none.json') })).message).toContain('ENOENT');
    expect((await refusal({ file: folder })).message).toContain('not a regular file');
    expect((await refusal({ file: write('x'.repeat(70_000)) })).message).toContain('longer than');
    expect((await refusal({ environment: { AGENTSIGHT_CONFIG: join(folder, 'none.json') } })).message).toContain('ENOENT');
  });

  itAsRoot('under sudo the file must belong to the user', async () => {
    const file = write({ port: 1 });
    chmodSync(file, 0o644);
    const error = await refusal({ file, user: { ...user, uid: 65_534 } });
    expect(error.message).toContain('does not belong to someone');
  });
});
