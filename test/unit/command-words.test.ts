import { expect, test } from 'vitest';
import { startedBy } from '../../src/runners/command-words.ts';

const node = ['node', 'a.js', '--flag'];

test.each([
  ['env', ['env', ...node]],
  ['env with variables and options', ['/usr/bin/env', '-i', '-u', 'HOME', '--chdir=/tmp', 'A=1', 'B=x y', ...node]],
  ['env with a text of words', ['env', '-S', 'A=1 node a.js', '--flag']],
  ['sudo', ['sudo', '-nu', 'somebody', '-E', '--', ...node]],
  ['nice', ['nice', '-n', '5', ...node]],
  ['nice with its value in the option', ['nice', '-n5', ...node]],
  ['timeout', ['timeout', '-k', '5', '--signal', 'TERM', '10s', ...node]],
  ['a shell', ['sh', '-c', 'node a.js --flag']],
  ['a shell with options', ['bash', '-euo', 'pipefail', '-c', 'A=1 exec node "a.js" --flag']],
  ['a shell with its arguments', ['sh', '-c', '"$@"', 'sh', ...node]],
])('%s starts the program behind its own words', (_, words) => {
  const started = startedBy(words);
  expect(started).toHaveLength(1);
  expect(started[0]?.[0] === 'exec' ? startedBy(started[0]) : started).toEqual([node]);
});

test('a shell text is followed from command to command, through its words and expansions', () => {
  expect(startedBy(['sh', '-c', 'cd x && if true; then ./run "a b"; fi | $TOOL x; node a.js &']).map(([program]) => program))
    .toEqual(['cd', 'true', './run', 'fi', 'node']);
});

test.each([
  ['another program', ['node', '-c', 'env x']],
  ['a shell without a text', ['bash', 'script.sh', '-c']],
  ['a wrapper alone', ['env', '-i', 'A=1']],
  ['a text that is only an expansion', ['sh', '-c', '$(which node) a.js']],
  ['nothing', []],
])('of %s nothing is known', (_, words) => {
  expect(startedBy(words).filter(([program]) => program !== 'which' && program !== 'a.js')).toEqual([]);
});
