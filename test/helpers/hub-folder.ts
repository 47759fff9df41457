/** A data directory of its own for each test of a file or group; the hub that a test leaves in it is ended. */
import { afterEach, beforeEach } from 'vitest';
import { runCli } from './cli.ts';
import { tempDir, type TempDir } from './files.ts';
import { readHubFacts, type HubFacts } from './hub.ts';

export interface HubFolder {
  /** Around the data directory, for the test's own files. */
  readonly dir: TempDir;
  readonly dataDir: string;
  /** Of the hub that runs there. */
  facts(): HubFacts;
}

export function hubFolderPerTest(): HubFolder {
  let dir: TempDir;
  const folder: HubFolder = {
    get dir() {
      return dir;
    },
    get dataDir() {
      return dir.file('data');
    },
    facts() {
      const found = readHubFacts(folder.dataDir);
      if (found === undefined) throw new Error('there is no hub.json');
      return found;
    },
  };
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(async () => {
    await runCli(['serve', '--stop', '--data-dir', folder.dataDir]);
    dir.remove();
  });
  return folder;
}
