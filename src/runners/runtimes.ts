/**
 * Programs with a TLS library inside that a traced program is likely to start,
 * as its own PATH finds them. They are hooked before it runs: a hook that waits
 * for their exec can come after their first bytes when the machine is busy.
 */
import { resolveOrNull, type CommandPlace } from './command-files.ts';

const RUNTIMES = ['node', 'bun', 'deno'];

/** Some may be the same file. Ours is that of the user who called sudo, whose PATH root has not. */
export function installedRuntimes(places: readonly CommandPlace[]): string[] {
  const found = places.flatMap((place) => RUNTIMES.flatMap((name) => resolveOrNull(name, place) ?? []));
  return [...new Set([...found, process.execPath])];
}
