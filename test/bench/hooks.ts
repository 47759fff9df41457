/** Every hook of a trace in place, while no process is traced: what hooks alone cost. */
import { loadAddon, type ProgramFamily } from '../../src/addon.ts';
import { createLadder } from '../../src/runners/locate/ladder.ts';
import { createTlsFiles } from '../../src/runners/tls-files.ts';
import { startCapture } from '../helpers/capture.ts';

const ALL_FAMILIES: readonly ProgramFamily[] = ['process', 'file', 'net', 'tls', 'stdio'];

/** `tlsFiles`: what a traced program would have had hooked. Returns what undoes it. */
export async function hookEverything(tlsFiles: readonly string[] = [], families = ALL_FAMILIES): Promise<() => void> {
  const { capture } = startCapture({ families });
  const addon = loadAddon();
  const files = createTlsFiles({ addon, capture, ladder: createLadder({ readElf: addon.readElf, store: null }), onProbe: () => undefined });
  for (const path of tlsFiles) {
    const file = await files.look(path);
    if (file?.state !== 'attached') throw new Error(`${path} was not hooked`);
  }
  return () => capture.close();
}
