/**
 * OpenSSL 1.x in programs that do not name its functions. Its error reports
 * carry numbers: the library's, the function's, the reason's (the tables SSL_F_
 * and SSL_R_ of sslerr.h, where a number once given stays). From 1.1.1 on
 * ssl_read_internal has one of its own, and SSL_read, which calls it, another:
 * both together say which is which. Before that SSL_read does the work itself.
 *
 * Where the compiler copied ssl_read_internal into its callers, as in Node 16,
 * nothing is hooked: of SSL_read_ex no report says whose it is.
 */
import type { ElfView } from './elf.ts';
import { findErrorSites, type ErrorSite } from './error-sites.ts';
import { findFunctionStarts } from './function-start.ts';
import { codeUntilCall, found, unsupported } from './openssl-found.ts';
import type { Located } from './locator.ts';

const ERR_LIB_SSL = 20;
const UNINITIALIZED = 276;
const BAD_LENGTH = 271;

interface Numbers {
  readonly internal: number;
  readonly plain: number;
}
const READ: Numbers = { internal: 523, plain: 223 };
const WRITE: Numbers = { internal: 524, plain: 208 };
const FUNCTIONS = new Set([READ, WRITE].flatMap(({ internal, plain }) => [internal, plain]));

/** null where no report of it stands: another library, or OpenSSL 3. */
export function* searchOpenSsl1(elf: ElfView): Generator<undefined, Located | null> {
  const sites = yield* findErrorSites(elf, { library: ERR_LIB_SSL, reasons: FUNCTIONS });
  const reportsOf = (number: number, reason: number): readonly ErrorSite[] => sites.filter(({ constants }) => constants.includes(number) && constants.includes(reason));
  const isSplit = [READ, WRITE].some(({ internal }) => reportsOf(internal, UNINITIALIZED).length > 0);
  const wanted = [READ, WRITE].flatMap(({ internal, plain }) =>
    (isSplit ? [reportsOf(internal, UNINITIALIZED), reportsOf(plain, BAD_LENGTH)] : [reportsOf(plain, UNINITIALIZED)]));
  if (wanted.every((reports) => reports.length === 0)) return null;
  const starts = yield* findFunctionStarts(elf, wanted.flat().map(({ address }) => address));
  const startOf = new Map(wanted.flat().map((site, index) => [site, starts[index] ?? null]));
  const functions = wanted.map((reports) => [...new Set(reports.map((site) => startOf.get(site) ?? null))]);
  const single = functions.map((places) => (places.length === 1 ? places[0] ?? null : null));
  return isSplit ? internalPair(elf, single) : plainPair(elf, single);
}

function internalPair(elf: ElfView, [readInternal, read, writeInternal, write]: readonly (number | null | undefined)[]): Located {
  if (readInternal == null || read == null || writeInternal == null || write == null) {
    return unsupported('OpenSSL 1.1 is there, but its functions are in no or several places');
  }
  if (codeUntilCall(elf, read, readInternal) === null || codeUntilCall(elf, write, writeInternal) === null) {
    return unsupported('OpenSSL 1.1 is there, but SSL_read or SSL_write does not call what it should');
  }
  return found(elf, { ssl_read_internal: readInternal, ssl_write_internal: writeInternal });
}

function plainPair(elf: ElfView, [read, write]: readonly (number | null | undefined)[]): Located {
  if (read == null || write == null) return unsupported('OpenSSL before 1.1.1 is there, but its functions are in no or several places');
  return found(elf, { SSL_read: read, SSL_write: write });
}
