/** The committed BPF objects are what the sources compile to, wherever the checkout lies. */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildBpf, OUTPUTS } from '../../src/setup/build-bpf.mjs';
import { ROOT, tempDir, type TempDir } from '../helpers/files.ts';

describe('prebuilt BPF objects', () => {
  let dir: TempDir;
  beforeEach(() => { dir = tempDir(); });
  afterEach(() => dir.remove());

  it('equal, byte for byte, what their sources compile to in another folder', () => {
    const sources = dir.file('somewhere/else/bpf');
    cpSync(join(ROOT, 'bpf'), sources, { recursive: true, filter: (path) => !path.includes('prebuilt') });
    buildBpf(sources, dir.file('out'));
    for (const name of OUTPUTS) {
      const built = readFileSync(join(dir.file('out'), name));
      expect(built.equals(readFileSync(join(ROOT, 'bpf/prebuilt', name))), `${name}: run npm run build:bpf`).toBe(true);
    }
  });
});
