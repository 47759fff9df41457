/**
 * The kernel tests again, on the kernels that Debian's users run: each boots in
 * qemu and runs these files of test/kernel/ there.
 */
import { beforeAll, expect, it } from 'vitest';
import { fetchKernel, KERNEL_LINES, type KernelLine } from '../../src/setup/kernels.mjs';
import { describeGuests } from '../helpers/privilege.ts';
import { runInGuest } from './guest.ts';

/** One line adds a file: what proves the kernel's side. Emulation is some ten times slower. */
const FILES = [
  'test/kernel/addon-process.test.ts',
  'test/kernel/addon-stdio.test.ts',
  'test/kernel/addon-tls.test.ts',
  'test/kernel/capture-tls.test.ts',
  'test/kernel/tls-programs.test.ts',
  'test/kernel/doctor.test.ts',
  'test/kernel/file.test.ts',
  'test/kernel/net.test.ts',
  'test/kernel/optional-sources.test.ts',
  'test/kernel/reset.test.ts',
  'test/kernel/select.test.ts',
];

/**
 * Tests that show nothing more on another kernel and take minutes under emulation: they make thousands of processes, calls or
 * connections, or trace while a doctor loads everything once more.
 */
const LEFT_OUT = ['miss none of 1,000 short processes', 'that repeat are added up, exactly', '1000 short connections', 'watches a process, and says what passes'];

const MINUTE_MS = 60_000;
/** Of a whole guest: both run at the same time, and the tier has 30 minutes. */
const LIMIT_MS = 26 * MINUTE_MS;
const TEST_LIMIT_MS = 6 * MINUTE_MS;

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string; readonly failureMessages: readonly string[] }[];
  }[];
}

interface Told {
  readonly report: Report | null;
  /** What guest and vitest said, for whoever has to find out. */
  readonly text: string;
}

const SCRIPT = [
  'CI=1', `'${process.execPath}'`, '--import ./test/kernels/patience.mjs', 'node_modules/vitest/vitest.mjs run --project kernel --no-isolate --configLoader runner --no-cache',
  `--retry=1 --testTimeout=${TEST_LIMIT_MS} --hookTimeout=${TEST_LIMIT_MS} --reporter=default --reporter=json --outputFile.json="$OUT/report.json"`,
  `-t '^(?!.*(${LEFT_OUT.join('|')}))'`, ...FILES,
].join(' ');

async function runTests(line: KernelLine): Promise<Told> {
  const guest = await runInGuest({ kernel: await fetchKernel(line), script: SCRIPT, limitMs: LIMIT_MS });
  const report = guest.file('report.json');
  return {
    report: report === null ? null : JSON.parse(report) as Report,
    text: `exit code ${guest.code}\n${guest.output.slice(-8000)}\n${guest.console.slice(-4000)}`,
  };
}

function expectPassed({ report, text }: Told, file: string): void {
  if (report === null) expect.fail(`the guest left no report: ${text}`);
  const result = report.testResults.find(({ name }) => name.endsWith(`/${file}`));
  const results = (result?.assertionResults ?? []).filter(({ fullName }) => !LEFT_OUT.some((name) => fullName.includes(name)));
  const unstable = results.filter(({ status, failureMessages }) => status === 'passed' && failureMessages.length > 0);
  for (const { fullName, failureMessages } of unstable) console.warn(`failed, then passed: ${fullName}\n${failureMessages[0]}`);
  const wrong = results.filter(({ status }) => status !== 'passed');
  expect(wrong.map(({ fullName, status, failureMessages }) => `${status}: ${fullName}\n${failureMessages.join('\n')}`)).toEqual([]);
  expect(results.length, `${result?.message ?? 'it did not run'}\n${text}`).toBeGreaterThan(0);
}

describeGuests('a Debian kernel runs the kernel tests', () => {
  const guests = new Map<string, Promise<Told>>();
  beforeAll(() => {
    for (const line of KERNEL_LINES) {
      const told = runTests(line);
      // Whoever asks first gets the error; until then it is nobody's.
      told.catch(() => undefined);
      guests.set(line.name, told);
    }
  });
  for (const { name } of KERNEL_LINES) {
    it.each(FILES)(`Linux ${name}: %s`, async (file) => {
      expectPassed(await (guests.get(name) ?? expect.fail('it was not started')), file);
    }, LIMIT_MS + MINUTE_MS);
  }
});
