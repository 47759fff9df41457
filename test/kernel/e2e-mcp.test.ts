/** JSON-RPC between two traced processes, over pipes and over pairs of sockets: each call once, with its own answer and both ends. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ofSource, readEvents, startCli } from '../helpers/cli.ts';
import { programPath, tempDir, type TempDir } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

const COUNT = 40;
const PAIR = programPath('rpc-pair.mjs');

/** Asks the server of rpc-pair.mjs over pipes, which Node does not make. */
const PYTHON = `
import json, os, subprocess, sys
server = subprocess.Popen(sys.argv[1:] + ['serve', 'line'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for number in range(${COUNT}):
    server.stdin.write((json.dumps({'jsonrpc': '2.0', 'id': number, 'method': 'echo', 'params': {'text': 'é %d' % number}}) + '\\n').encode())
server.stdin.write(b'{"jsonrpc":"2.0","method":"flush"}\\n')
server.stdin.flush()
heard = open(os.environ['HEARD'], 'w', encoding='utf-8')
for number in range(${COUNT}):
    answer = json.loads(server.stdout.readline())
    print(answer['id'], answer['result']['text'], file=heard)
heard.close()
open(os.environ['SEEN']).read()
server.stdin.close()
sys.exit(server.wait())
`;

/** Asks two of them at once with the same ids, the second answers first. */
const TWO_SERVERS = `
import json, os, subprocess, sys
def say(server, message):
    server.stdin.write((json.dumps({'jsonrpc': '2.0', **message}) + '\\n').encode())
    server.stdin.flush()
servers = {name: subprocess.Popen(sys.argv[1:] + ['serve', 'line'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for name in 'AB'}
for name, server in servers.items():
    say(server, {'id': 0, 'method': 'echo', 'params': {'text': name + ' 0'}})
    say(server, {'method': 'flush'})
    assert json.loads(server.stdout.readline())['result']['text'] == name + ' 0'
for number in range(1, ${COUNT}):
    for name, server in servers.items():
        say(server, {'id': number, 'method': 'echo', 'params': {'text': '%s %d' % (name, number)}})
for name in 'BA':
    say(servers[name], {'method': 'flush'})
    for number in reversed(range(1, ${COUNT})):
        assert json.loads(servers[name].stdout.readline()) == {'jsonrpc': '2.0', 'id': number, 'result': {'text': '%s %d' % (name, number)}}
open(os.environ['SEEN']).read()
for server in servers.values():
    server.stdin.close()
    assert server.wait() == 0
`;

const CLIENTS = [
  ['lines over sockets', 'socket', 'line', [process.execPath, PAIR, 'ask', 'line', String(COUNT)]],
  ['lengths over sockets', 'socket', 'content-length', [process.execPath, PAIR, 'ask', 'content-length', String(COUNT)]],
  ['lines over pipes', 'pipe', 'line', ['/usr/bin/python3', '-S', '-c', PYTHON, process.execPath, PAIR]],
] as const;

describeKernel('JSON-RPC over stdio', () => {
  let dir: TempDir;
  beforeEach(() => { dir = tempDir(); });
  afterEach(() => dir.remove());

  for (const [name, kind, framing, command] of CLIENTS) {
    for (const [seen, flags] of [['both ends seen', ['--all-fds']], ['the server seen', []]] as const) {
      it(`${name}, ${seen}`, async () => {
        const file = dir.file('trace.jsonl');
        // Both ends stay until they were seen: of who has gone, /proc tells nothing.
        const fifo = dir.file('seen');
        execFileSync('mkfifo', [fifo]);
        const trace = startCli(['trace', '--no-hub', '-q', '-o', file, '--source', 'process,stdio,mcp', ...flags, '--', ...command], { env: { SEEN: fifo, HEARD: dir.file('heard') } });
        await waitFor('every call in the file', () => existsSync(file) && readFileSync(file, 'utf8').split('"source":"mcp"').length - 1 > COUNT);
        writeFileSync(fifo, 'seen\n');
        const result = await trace.result;
        expect(result, result.stderr).toMatchObject({ code: 0 });
        expect(result.stderr).toContain('nothing lost');
        const events = readEvents(file);
        const programs = ofSource(events, 'process').filter(({ data }) => data['event'] === 'EXEC');
        const [client, server] = [programs[0]?.process, programs.find(({ data }) => (data['argv'] as string[]).includes('serve'))?.process];
        const told = ofSource(events, 'mcp');
        // What the client says it heard, and so in the order in which it was answered.
        const heard = readFileSync(dir.file('heard'), 'utf8').trim().split('\n');
        expect(heard).toEqual(Array.from({ length: COUNT }, (_, index) => `${COUNT - 1 - index} é ${COUNT - 1 - index}`));
        const calls = told.filter(({ data }) => data['kind'] === 'call');
        expect(calls.map(({ data }) => `${String(data['id'])} ${(JSON.parse(String(data['result'])) as { text: string }).text}`)).toEqual(heard);
        expect(told.filter(({ data }) => data['kind'] !== 'call').map(({ data }) => [data['kind'], data['method']])).toEqual([['notification', 'flush']]);
        for (const { process, data } of told) {
          expect(data).toMatchObject({ framing, state: 'complete', target: expect.stringMatching(kind) as unknown });
          // What is said before its hearer was started, and gets no answer, names nobody.
          if (data['kind'] !== 'call') continue;
          expect(data['params']).toBe(data['result']);
          const [asks, answers] = data['role'] === 'client' ? [process, data['peer']] : [data['peer'], process];
          expect([asks, answers].map((end) => (typeof end === 'string' ? end : (end as { process: string } | null)?.process))).toEqual([client, server]);
        }
        // Whoever was first to be seen, and no other, tells.
        const roles = new Set(told.map(({ data }) => data['role']));
        expect(roles.size).toBe(1);
        if (flags.length === 0) expect([...roles]).toEqual(['server']);
      });
    }
  }

  for (const [seen, flags, roles] of [
    ['both ends seen', ['--all-fds'], null], ['the servers seen', [], ['server']], ['the client alone seen', ['--all-fds', '--no-follow'], ['client']],
  ] as const) {
    it(`one client of two servers, with equal ids, ${seen}`, async () => {
      const file = dir.file('trace.jsonl');
      const fifo = dir.file('seen');
      execFileSync('mkfifo', [fifo]);
      const command = ['/usr/bin/python3', '-S', '-c', TWO_SERVERS, process.execPath, PAIR];
      const trace = startCli(['trace', '--no-hub', '-q', '-o', file, '--source', 'process,stdio,mcp', ...flags, '--', ...command], { env: { SEEN: fifo } });
      // Two notifications to each server.
      await waitFor('every call in the file', () => existsSync(file) && readFileSync(file, 'utf8').split('"source":"mcp"').length - 1 >= 2 * COUNT + 4);
      writeFileSync(fifo, 'seen\n');
      const result = await trace.result;
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.stderr).toContain('nothing lost');
      const told = ofSource(readEvents(file), 'mcp');
      const calls = told.filter(({ data }) => data['kind'] === 'call').map(({ data }) => data);
      const texts = ['A', 'B'].flatMap((name) => Array.from({ length: COUNT }, (_, number) => `{"text":"${name} ${number}"}`));
      expect(calls.map(({ params }) => params).toSorted()).toEqual(texts.toSorted());
      for (const call of calls) expect(call).toMatchObject({ result: call['params'], state: 'complete', reason: null, error: null });
      expect(told.filter(({ data }) => data['kind'] !== 'call').map(({ data }) => data['method'])).toEqual(['flush', 'flush', 'flush', 'flush']);
      if (roles !== null) expect([...new Set(told.map(({ data }) => data['role']))]).toEqual(roles);
      // Who is at the other ends of a client that is seen alone was looked for in /proc, if there was time.
      if (seen === 'both ends seen') expect([...new Set(calls.map(({ pairing }) => pairing))]).toEqual(['proven']);
    });
  }
});
