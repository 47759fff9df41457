/** `trace -- CMD` on a real terminal, which script(1) makes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { CLI } from '../helpers/files.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

const CTRL_C = '\x03';

/** Counts its Ctrl-Cs, says when it may get the next one, ends after three. */
const STUBBORN = `
n=0
trap 'n=$((n+1)); echo caught $n' INT
echo ready 0
said=0
while [ $n -lt 3 ]; do
  read -t 1 line
  if [ $n -gt $said ]; then said=$n; echo ready $n; fi
done
exit 9`;

describeKernel('trace -- CMD on a terminal', () => {
  it('leaves every Ctrl-C to the command and ends as it ended', async () => {
    // exec: a shell that stayed between would end by the Ctrl-C as well (dash does), and hide how the command ended.
    const traced = `exec '${process.execPath}' '${CLI}' trace --no-hub -- bash -c '${STUBBORN.replaceAll("'", `'\\''`)}'`;
    const terminal = spawn('script', ['-qec', traced, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let shown = '';
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => { shown += text; });
    const ended = once(terminal, 'exit');
    try {
      for (const count of [0, 1, 2]) {
        await waitFor(`the command to want Ctrl-C ${count + 1}`, () => shown.includes(`ready ${count}`));
        terminal.stdin.write(CTRL_C);
      }
      expect(await ended).toEqual([9, null]);
      expect(shown).toContain('caught 3');
      expect(shown).toContain('nothing lost');
    } finally {
      terminal.kill('SIGKILL');
    }
  });
});
