import { describe, expect, it } from 'vitest';
import { translateAgentSight } from '../../src/cli/agentsight.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';

/** What ours shows by itself, and samples. */
const RECORDED = 'process,file,net,tls,stdio,http,sse,websocket,mcp,system';

describe("AgentSight's command line", () => {
  it.each<[string, string]>([
    ['ssl --sse-merge', 'trace --source tls,http,sse,websocket --pid 1'],
    ['ssl --http-parser --http-raw-data --pid 7', 'trace --raw --pid 7 --source tls,http,sse,websocket'],
    ['ssl -- --port 443 --comm python', 'trace --port 443 --comm python --source tls,http,sse,websocket'],
    ['process', 'trace --source process,file --pid 1'],
    ['process -- --comm python,node', 'trace --comm python --comm node --source process,file'],
    ['process --quiet -- --pid 1234 --mode 1', 'trace --quiet --pid 1234 --source process'],
    ['stdio -- --pid 1234 --uid 1000 --comm python3', 'trace --pid 1234 --uid 1000 --comm python3 --source stdio'],
    ['stdio --pid 1234 --all-fds --max-bytes 8192', 'trace --pid 1234 --all-fds --max-bytes 8192 --source stdio'],
    ['stdio -- -p 1234 -u 1000 -c python3,node -v', 'trace -p 1234 --uid 1000 --comm python3 --comm node -v --source stdio'],
    ['ssl -- -p 7 -h', 'trace -p 7 --source tls,http,sse,websocket'],
    ['process -- -c sh -m 0 -a', 'trace --comm sh --source process,file'],
    ['trace -c python,node', 'trace --comm python --comm node'],
    ['trace -p 9 --stdio --stdio-uid 1000 --stdio-comm sh --stdio-all-fds', 'trace -p 9 --uid 1000 --comm sh --all-fds --source tls,http,sse,websocket,process,file,stdio'],
    ['agent --comm python', 'trace --comm python'],
    ['agent --process false --comm python', 'trace --comm python --source tls,http,sse,websocket'],
    ['agent --ssl false --pid 3', 'trace --pid 3 --source process,file'],
    ['agent --pid 1234 --ssl-uid 1000 --output /var/log/agent.log --quiet', 'trace --pid 1234 --uid 1000 --output /var/log/agent.log --quiet'],
    ['trace -- --ssl=false --process=false --stdio --pid 1234', 'trace --pid 1234 --source stdio'],
    ['trace --stdio true --stdio-max-bytes=64 --pid 9', 'trace --max-bytes 64 --pid 9 --source tls,http,sse,websocket,process,file,stdio'],
    ['trace --disable-auth-removal -p 9', 'trace --no-redact -p 9'],
    ['trace --ssl-http true --ssl-handshake -p 9', 'trace -p 9'],
    ['trace --server-port 8080 --server -p 9', 'trace --server-port 8080 -p 9'],
    ['system', 'trace --source system --pid 1'],
    ['system -i 5 -p 9 --no-children --cpu-threshold 80 --memory-threshold 512', 'trace --interval 5 -p 9 --no-follow --cpu-threshold 80 --memory-threshold 512M --source system'],
    ['system --interval=1 --memory-threshold=64 -c node,bun', 'trace --interval=1 --memory-threshold 64M --comm node --comm bun --source system'],
    ['trace --system --system-interval 3 -p 9', 'trace --interval 3 -p 9 --source tls,http,sse,websocket,process,file,system'],
    ['debug stdio -p 9 --all-fds', 'trace -p 9 --all-fds --source stdio'],
    ['debug trace -p 9 --ssl-http', 'trace -p 9'],
    ['server --server-port 7000', 'serve --server-port 7000'],
  ])('%s', (theirs, ours) => {
    const { argv, notices } = translateAgentSight(theirs.split(' '));
    expect(argv.join(' ')).toBe(ours);
    expect(notices).toEqual(ours.includes('--pid 1') && ours.endsWith('--pid 1') ? [expect.stringContaining('process 1')] : []);
    expect(parseCommandLine(argv).kind).toBe('command');
  });

  it.each([
    ['trace --http-filter response.body= -p 1', 'dropped them all', 'nothing but that response'],
    ['trace --binary-path /opt/claude -p 1', 'without --binary-path'],
    ['trace --rotate-logs --max-log-size 10 -p 1', 'rotate'],
    ['ssl -p 1 -- -o', 'every TLS library'],
    ['ssl -p 1 -- -g -n', 'every TLS library'],
    ['process -p 1 -- -d 100', 'duration'],
    ['ssl --ssl-filter data.type=binary --no-gnutls=true -p 1 --http-filter a=b', 'every TLS library', 'in the query', 'nothing but that request'],
    ['process --duration 100 -p 1', 'duration'],
    ['trace --otel -p 1', 'OpenTelemetry'],
    ['trace --mode 1 -p 1', '--mode'],
    ['agent --mode=2 -p 1', '--mode'],
    ['ssl -p 1 -- -m 0', '--mode'],
    ['record -c claude -m 1', '--mode', '/v1/rgstr'],
  ])('says once what it does not do: %s', (theirs, ...told) => {
    const { argv, notices } = translateAgentSight(theirs.split(' '));
    expect(notices).toEqual(told.map((notice) => expect.stringContaining(notice) as string));
    expect(parseCommandLine(argv).kind).toBe('command');
  });

  it.each([
    ['record -c claude --log-file r.log', `trace --comm claude --output r.log --source ${RECORDED}`],
    ['record -- claude -p hi --ssl', `trace --source ${RECORDED} -- claude -p hi --ssl`],
  ])('tells that record has no filters of its own: %s', (theirs, ours) => {
    const { argv, notices } = translateAgentSight(theirs.split(' '));
    expect(argv.join(' ')).toBe(ours);
    expect(notices).toEqual([expect.stringContaining('/v1/rgstr') as string]);
  });

  it('leaves every command of ours as it is', () => {
    for (const words of [['trace', '-p', '12', '--source', 'http'], ['replay', 'x', '--hub'], ['doctor', '--json'], ['trace', '--', 'ssl', '--ssl'], []]) {
      expect(translateAgentSight(words)).toEqual({ argv: words, notices: [] });
    }
  });
});
