import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';

function collector(isTTY: boolean) {
  const lines: string[] = [];
  return { isTTY, lines, write: (text: string) => lines.push(text) };
}

describe('the log', () => {
  it('writes one readable line on a terminal, which nothing logged can drive', () => {
    const destination = collector(true);
    createLog({ level: 'info', destination }).warn('hub is \u001b[2Jgone', { pid: 7, path: '/a b' });
    expect(destination.lines).toHaveLength(1);
    expect(destination.lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}hub is \\x1b\[2Jgone pid=7 path="\/a b"\n$/);
  });

  it('writes JSON elsewhere', () => {
    const destination = collector(false);
    createLog({ level: 'debug', destination }).debug('here', { n: 1 });
    expect(JSON.parse(destination.lines[0] ?? '')).toMatchObject({ level: 'debug', msg: 'here', n: 1, time: expect.stringMatching(/Z$/) as string });
  });

  it('leaves out what is below its level', () => {
    const destination = collector(false);
    const log = createLog({ level: 'warn', destination });
    log.info('no');
    log.error('yes');
    expect(destination.lines).toHaveLength(1);
    expect([log.writes('info'), log.writes('warn')]).toEqual([false, true]);
    createLog({ level: 'silent', destination }).error('no');
    expect(destination.lines).toHaveLength(1);
  });
});
