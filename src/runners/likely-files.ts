/** What is hooked before anything is traced. */
import type { Addon } from '../addon.ts';
import { filesOfLaunch, linkerPlaceOf, placeOfLaunch, placeOfProcess } from './command-files.ts';
import type { LaunchOptions } from './launch.ts';
import { installedRuntimes } from './runtimes.ts';
import { type LinkerPlace, broughtFiles } from './tls-needed.ts';

export interface LikelyFiles {
  readonly files: readonly string[];
  /** Where the linker looks for the command's libraries. */
  readonly place: LinkerPlace | null;
}

/** Roots whose PATH is looked through for runtimes. */
const ROOTS_ASKED = 16;

/** The command's own files, libraries that it brings along, and runtimes that it or the roots can find. */
export function likelyFiles(launch: LaunchOptions | null, roots: readonly number[], readElf: Addon['readElf']): LikelyFiles {
  const rootPlaces = roots.slice(0, ROOTS_ASKED).flatMap((pid) => placeOfProcess(pid) ?? []);
  if (launch === null) return { files: installedRuntimes(rootPlaces), place: null };
  const commandPlace = placeOfLaunch(launch);
  const place = linkerPlaceOf(commandPlace);
  const own = filesOfLaunch(launch, commandPlace);
  const brought = own.flatMap((file) => broughtFiles(file, readElf, place));
  return { files: [...own, ...brought, ...installedRuntimes([commandPlace, ...rootPlaces])], place };
}
