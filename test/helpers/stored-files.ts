/** What the files of a hub say: those of the store hold compressed columns, in which no secret would be found as it is. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decompress } from 'fzstd';

/** Of Zstandard (RFC 8878 §3.1.1); before it ClickHouse writes its method, its length with this head, and what comes out. */
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const ZSTD_METHOD = 0x90;
const HEAD_BYTES = 9;

/** Every file under a folder by its path: its bytes, and after them those of each column that is compressed in it. */
export function filesOf(folder: string): ReadonlyMap<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(entries.map(({ parentPath, name }) => {
    const path = join(parentPath, name);
    const bytes = readFileSync(path);
    return [path, Buffer.concat([bytes, ...columnsIn(bytes)])];
  }));
}

function columnsIn(file: Buffer): Uint8Array[] {
  const columns: Uint8Array[] = [];
  for (let at = file.indexOf(ZSTD_MAGIC, HEAD_BYTES); at >= 0; at = file.indexOf(ZSTD_MAGIC, at + 1)) {
    if (file[at - HEAD_BYTES] !== ZSTD_METHOD) continue;
    columns.push(decompress(file.subarray(at, at - HEAD_BYTES + file.readUInt32LE(at - HEAD_BYTES + 1))));
  }
  return columns;
}
