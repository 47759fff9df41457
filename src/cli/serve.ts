/** `agentsight-ts serve`: store, API and page alone, until Ctrl-C; or the end of one that runs. */
import { stopHub } from '../hub/stop.ts';
import { holdHub } from './hold.ts';
import type { Context } from './context.ts';

export interface ServeRequest {
  readonly stop: boolean;
}

export async function runServe({ stop }: ServeRequest, { config: { settings }, user }: Context): Promise<number> {
  const { dataDir, port, store } = settings;
  if (stop) {
    const ended = await stopHub(dataDir, user);
    process.stderr.write(ended ? 'the hub has ended\n' : `no hub is running on ${dataDir}\n`);
    return 0;
  }
  const hub = await holdHub({ user, dataDir, port, store });
  process.stderr.write(`\n  ${hub.url}\n\n${hub.started ? 'Ctrl-C ends the hub' : 'this hub was running already; Ctrl-C leaves it running'}\n`);
  await hub.over;
  await hub.close();
  return 0;
}
