import { describe, expect, it } from 'vitest';
import { COMMAND_NAMES, helpTexts, parseCommandLine } from '../../src/cli/command-line.ts';
import { AgentsightError } from '../../src/errors.ts';
import { VERSION } from '../../src/version.ts';

function refusal(...argv: string[]): AgentsightError {
  try {
    parseCommandLine(argv);
  } catch (error) {
    if (error instanceof AgentsightError) return error;
    throw error;
  }
  throw new Error(`${argv.join(' ')} was accepted`);
}

function command(...argv: string[]) {
  const line = parseCommandLine(argv);
  if (line.kind !== 'command') throw new Error(`${argv.join(' ')} gave text`);
  return line;
}

describe('the command line', () => {
  it('hands over exactly the flags that were given', () => {
    expect(command('trace', '-p', '12', '--pid', '34', '--no-hub', '--ring-size', '32M', '--for', '1m30s')).toEqual({
      kind: 'command', name: 'trace', args: [], command: [],
      flags: { pid: [12, 34], hub: false, ringSize: 32 * 1024 * 1024, for: 90_000 },
    });
  });

  it('leaves what follows -- to the launched command', () => {
    const line = command('trace', '-q', '--', 'curl', '--json', '{}', '--', '-p');
    expect(line.flags).toEqual({ quiet: true });
    expect(line.command).toEqual(['curl', '--json', '{}', '--', '-p']);
  });

  it('takes each selector as often as it is given', () => {
    expect(command('trace', '--exe', '/bin/sh', '--uid', 'root', '--uid', '7', '--cgroup', '/a', '--container', 'b', '--port', '443', '--port', '80').flags).toEqual({
      exe: ['/bin/sh'], uid: ['root', '7'], cgroup: ['/a'], container: ['b'], port: [443, 80],
    });
    expect(command('trace', '--no-follow', '--exclude-source', 'net,file', '--fds', '0-2, 7', '--max-bytes', '8K', '--server-port', '0').flags).toEqual({
      follow: false, excludeSource: ['file', 'net'], fds: [0, 1, 2, 7], maxBytes: 8192, serverPort: 0,
    });
  });

  it('takes ports of plain HTTP, each once, and the size of a call', () => {
    expect(command('trace', '--plain-port', '8080, 3000,8080', '--max-payload', '1M').flags).toEqual({ plainPort: [8080, 3000], maxPayload: 1 << 20 });
  });

  it('takes --port for the port of the page where there is no traffic', () => {
    for (const name of ['serve', 'doctor']) {
      for (const flag of ['--port', '--server-port']) expect(command(name, flag, '7000').flags).toEqual({ serverPort: 7000 });
    }
  });

  it('takes a file for replay, after -- too', () => {
    expect(command('replay', 'a.jsonl', '--hub').args).toEqual(['a.jsonl']);
    expect(command('replay', '--', '-odd.jsonl').args).toEqual(['-odd.jsonl']);
  });

  it.each([
    [['trace', '--prot', '1'], 'unknown option', 'did you mean --port'],
    [['trase'], 'unknown command', 'did you mean trace'],
    [['trace', 'curl', 'https://example.com'], 'too many arguments', 'put -- before'],
    [['replay'], "missing required argument 'file'", 'replay --help'],
    [['trace', '--pid'], 'argument missing', 'trace --help'],
    [['trace', '--pid', 'abc'], 'could not use --pid: "abc" is not a process id', 'whole number'],
    [['trace', '--source', 'ssl'], 'could not use --source: there is no source "ssl"', 'did you mean tls'],
    [['trace', '--for', 'soon'], 'could not use --for: "soon" is not a duration', '10s'],
    [['trace', '--interval', '10ms'], 'could not use --interval: 100ms is the shortest', ''],
    [['trace', '--cpu-threshold', 'much'], 'could not use --cpu-threshold: "much" is not a percentage', '200'],
    [['trace', '--ring-size', '3M'], "a ring's size is a power of two, not 3M", '2M and 4M'],
    [['trace', '--port', '70000'], 'could not use --port: no traffic has port 70000', '--server-port'],
    [['trace', '--port', '0'], 'could not use --port: no traffic has port 0', '--server-port'],
    [['trace', '--server-port', '70000'], 'could not use --server-port: "70000" is not a port', '65535'],
    [['trace', '--fds', '0,2-1'], 'could not use --fds: "2-1" is no descriptor', '0-2,7'],
    [['trace', '--fds', '1024'], 'descriptors go to 1023', '--all-fds'],
    [['trace', '--max-bytes', '1G'], 'no more than 64M', ''],
    [['trace', '--max-payload', '1G'], 'could not use --max-payload: no more than 64M', ''],
    [['trace', '--plain-port', '80,0'], 'could not use --plain-port: no traffic has port 0', ''],
    [['trace', '--plain-port', '1,2,3,4,5,6,7,8,9'], 'could not use --plain-port: 8 ports are the most, not 9', 'first bytes'],
    [['trace', '--exe', ''], 'could not use --exe: it cannot be empty', ''],
    [['serve', '--store', 'ftp://x'], 'http or https, not ftp', 'http://'],
  ])('refuses %j, saying what and what instead', (argv, message, hint) => {
    const error = refusal(...argv);
    expect(error.code).toBe('USAGE');
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(message);
    expect(error.hint ?? '').toContain(hint);
  });

  it('answers --version and help as text', () => {
    expect(parseCommandLine(['--version'])).toEqual({ kind: 'text', text: `${VERSION}\n` });
    const help = parseCommandLine(['--help']);
    expect(help).toEqual({ kind: 'text', text: helpTexts().get('agentsight-ts') });
    expect(parseCommandLine([])).toEqual(help);
    expect(parseCommandLine(['help', 'trace'])).toEqual({ kind: 'text', text: helpTexts().get('agentsight-ts trace') });
  });
});

describe('the help', () => {
  it('opens with three tasks, then names every command', () => {
    const text = helpTexts().get('agentsight-ts') ?? '';
    expect(text.split('\n').slice(0, 3).every((line) => /^\w[^:]+: +(sudo )?agentsight-ts /.test(line))).toBe(true);
    for (const name of COMMAND_NAMES) expect(text).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  });

  it('tells what every option does when it is left out', () => {
    for (const name of COMMAND_NAMES) {
      const text = helpTexts().get(`agentsight-ts ${name}`) ?? '';
      // An option with its description, whose further lines are indented deeper.
      const options = text.split(/\n(?= {2}-)/).slice(1).map((part) => part.split(/\n\n|\n(?=\S)/)[0] ?? '');
      expect(options.length).toBeGreaterThan(0);
      const silent = options.filter((option) => !/\(default:|repeatable/.test(option.replaceAll(/\s+/g, ' ')) && !option.includes('--help'));
      expect(silent, name).toEqual([]);
    }
  });

  it('fits its width', () => {
    for (const text of helpTexts(100).values()) {
      expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
    }
  });
});
