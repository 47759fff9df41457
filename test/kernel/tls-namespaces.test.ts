/** TLS in a container's namespaces: nothing that the collector could reach by the path that the process knows. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event, ProbeData } from '../../src/event.ts';
import { CERTIFICATE_PROGRAM, tempDir, type TempDir } from '../helpers/files.ts';
import { command, conversations, startCapture, type RunningCapture } from '../helpers/live-capture.ts';
import { expectRow, installedOpenSsl } from '../helpers/matrix.ts';
import { describeKernel } from '../helpers/privilege.ts';
import { waitFor } from '../helpers/wait.ts';

/** A server and, when it is told to, a client of OpenSSL; what the client gets is on standard output. */
const TALK = `
openssl s_server -quiet -accept 127.0.0.1:4433 -cert /keys/cert.pem -key /keys/key.pem -www </dev/null &
read go
curl -sik --http1.1 --retry 100 --retry-connrefused --retry-delay 1 https://127.0.0.1:4433/
`;

/** With files of its own: copies in a memory file system that only this mount namespace has. */
const IN_OWN_ROOT = `
set -e
mount -t tmpfs none "$1/root"
for program in curl openssl sh; do
  path=$(command -v $program)
  cp --parents -L $path "$1/root"
  for file in $(ldd $path | grep -o '/[^ ]*'); do cp --parents -L $file "$1/root"; done
done
mkdir "$1/root/keys" "$1/root/dev"
cp -a /dev/null /dev/urandom "$1/root/dev"
cp "$1"/keys/* "$1/root/keys"
ip link set lo up
exec chroot "$1/root" "$(command -v sh)" -c "$2"
`;

/** With the machine's own files. */
const IN_OWN_NETWORK = `
set -e
mount -t tmpfs none /mnt
mount --bind "$1" /mnt
mkdir -p /mnt/empty
ip link set lo up
exec /bin/sh -c "$(printf %s "$2" | sed "s|/keys/|$1/keys/|g")"
`;

let folder: TempDir;
beforeAll(() => {
  folder = tempDir();
  mkdirSync(folder.file('root'));
  mkdirSync(folder.file('keys'));
  execFileSync(process.execPath, [CERTIFICATE_PROGRAM, folder.file('keys')]);
});
afterAll(() => folder.remove());

/** `isReady`: the client may begin. */
async function run(script: string, isReady: (events: readonly Event[]) => boolean): Promise<RunningCapture & { readonly answer: string }> {
  execFileSync('mkfifo', [folder.file('go')]);
  const go = openSync(folder.file('go'), 'r+');
  const out = openSync(folder.file('answer'), 'w');
  const args = ['--mount', '--net', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh', folder.path, TALK];
  const capture = startCapture({ launch: command('unshare', args, { stdio: [go, out, 'inherit'] }), families: ['process', 'net', 'tls'] });
  try {
    await waitFor('the library to be hooked', () => isReady(capture.events), 60_000);
    writeSync(go, '\n');
    await capture.done;
  } finally {
    capture.runner.signal('SIGKILL');
    await capture.runner.stop();
    for (const fd of [go, out]) closeSync(fd);
    rmSync(folder.file('go'));
  }
  expect(await capture.runner.exit).toMatchObject({ exitCode: 0 });
  return { ...capture, answer: readFileSync(folder.file('answer'), 'latin1') };
}

/** Client and server say the same of their conversation, and it is what the client got. */
function expectWhole({ events, answer }: Awaited<ReturnType<typeof run>>): void {
  const spoken = conversations(events).filter(({ written }) => written.length > 0);
  const client = spoken.find(({ comm }) => comm === 'curl');
  const server = spoken.find(({ comm }) => comm === 'openssl');
  expect(spoken).toHaveLength(2);
  expect(client?.written.toString('latin1')).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: 127\.0\.0\.1:4433\r\n/);
  expect(client?.read.toString('latin1')).toBe(answer);
  expect(server?.read.equals(client?.written ?? Buffer.alloc(0))).toBe(true);
  expect(server?.written.equals(client?.read ?? Buffer.alloc(0))).toBe(true);
}

/** OpenSSL that was found under another name than that of the process; curl brings GnuTLS as well. */
function placed(events: readonly Event[]): ProbeData[] {
  return events.flatMap((event) => (event.source === 'probe' && event.data.place !== null && event.data.library === 'openssl' ? [event.data] : []));
}

describeKernel('TLS in namespaces of its own', () => {
  test('in a root that only its mount namespace has: whole, the library named as it is seen inside and where it was found', async () => {
    const capture = await run(IN_OWN_ROOT, (events) => placed(events).length > 0);
    expectWhole(capture);
    const hooked = placed(capture.events);
    expect(hooked).toMatchObject([{
      status: 'attached', library: 'openssl',
      path: expect.stringMatching(/^\/.*\/libssl\.so\.3$/),
      place: expect.stringMatching(/^\/proc\/\d+\/root\/.*\/libssl\.so\.3$/),
    }]);
    expect(hooked[0]?.place).toContain(hooked[0]?.path);
    expectRow('own root, mount, network and pid namespaces', capture.events, hooked[0]?.path);
    expect(capture.runner.tlsReport().filter(({ comm }) => comm === 'curl')).toMatchObject([{ state: 'captured', libraries: expect.arrayContaining([hooked[0]?.path]) }]);
  });

  test('with the files of the machine: whole, by their inode', async () => {
    const capture = await run(IN_OWN_NETWORK, (events) => events.some(({ comm }) => comm === 'openssl'));
    expectWhole(capture);
    expect(placed(capture.events)).toEqual([]);
    expectRow('own namespaces, files of the machine', capture.events, installedOpenSsl());
  });
});
