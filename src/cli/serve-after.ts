/** `--serve`: the page stays up after the run, until Ctrl-C. */
import { holdHub } from './hold.ts';
import type { HubChoice } from './hold.ts';

/** Runs under a hub that is held, so that the run joins it; returns the run's exit code. */
export async function serveAfter(choice: HubChoice, run: () => Promise<number>): Promise<number> {
  const hub = await holdHub(choice);
  try {
    const code = await run();
    // Whoever pressed Ctrl-C during the run has asked for the end already.
    if (hub.isOver()) return code;
    process.stderr.write(`\n  the page stays up: ${hub.url}\n\nCtrl-C ends it\n`);
    await hub.over;
    return code;
  } finally {
    await hub.close();
  }
}
