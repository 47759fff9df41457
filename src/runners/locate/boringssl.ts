/**
 * SSL_read and SSL_write of BoringSSL in programs that do not name them: bun
 * and what is built with it, Chromium, Electron.
 *
 * Both report errors, and the line numbers of those reports lie in the source
 * as they always did: SSL_write has four, a few lines apart, in one order.
 * SSL_read stands some twenty lines above it and has one, which it shares with
 * SSL_peek: that one looks at the same bytes without taking them. Checked with
 * builds of 2023 to 2026; see test/agents.
 */
import { absent, type Located, type Locator, type Search } from './locator.ts';
import type { ElfView } from './elf.ts';
import { findErrorSites, type ErrorSite } from './error-sites.ts';
import { findFunctionStarts } from './function-start.ts';

const ERR_LIB_SSL = 16;
const SHOULD_NOT_HAVE_BEEN_CALLED = 66;
const UNINITIALIZED = 226;
const HANDSHAKE_FAILURE = 215;
const BAD_LENGTH = 111;
const REASONS = new Set([SHOULD_NOT_HAVE_BEEN_CALLED, UNINITIALIZED, HANDSHAKE_FAILURE, BAD_LENGTH]);

/** SSL_write is shorter in every build; what lies further apart is of two functions. */
const WRITE_BYTES_MAX = 0x600;
/** SSL_read's report stands so many lines above SSL_write's first at most. */
const READ_LINES_MAX = 60;
/** Of SSL_read and SSL_peek this much code is looked at: both are shorter. */
const READ_BYTES_MAX = 0x200;

export const boringssl: Locator = { name: 'BoringSSL', step: 'locator', search };

function* search(elf: ElfView): Search {
  if (elf.machine !== 'x86-64') return absent(`looked for in x86-64 programs only, and this is ${elf.machine === 'other' ? 'none' : elf.machine}`);
  const sites = yield* findErrorSites(elf, { library: ERR_LIB_SSL, reasons: REASONS });
  const writes = findWrites(sites);
  const [write] = writes;
  if (write === undefined) return absent('no SSL_write');
  if (writes.length > 1) return unsupported(`SSL_write may be in ${writes.length} places`);
  const reads = findReads(sites, write);
  if (reads.length === 0) return unsupported('SSL_write is there, SSL_read is not');
  const [writeStart, ...readStarts] = yield* findFunctionStarts(elf, [write.site.address, ...reads.map(({ address }) => address)]);
  const readStart = chooseRead(elf, readStarts);
  if (writeStart == null || readStart === null) return unsupported('the code of SSL_read or SSL_write has no start that can be told');
  return found(elf, readStart, writeStart);
}

function found(elf: ElfView, readStart: number, writeStart: number): Located {
  const read = elf.offsetOf(readStart);
  const write = elf.offsetOf(writeStart);
  if (read === null || write === null || read === write) return unsupported('SSL_read and SSL_write are not two functions of the file');
  return {
    kind: 'found',
    library: 'boringssl',
    method: 'locator',
    functions: ['SSL_read', 'SSL_write'],
    probes: [
      // The exit first: between the two attachments a start without an end would be kept for nothing.
      { program: 'ssl_read_exit', offset: read },
      { program: 'ssl_read_enter', offset: read },
      { program: 'ssl_write_exit', offset: write },
      { program: 'ssl_write_enter', offset: write },
    ],
  };
}

function unsupported(reason: string): Located {
  return { kind: 'unsupported', library: 'boringssl', reason };
}

interface Write {
  readonly site: ErrorSite;
  readonly line: number;
}

/** Reports of 66, 226, 215 and, since 2023, 111, near each other and in this order in the source. */
function findWrites(sites: readonly ErrorSite[]): Write[] {
  return sites.flatMap((site) => linesOf(site, SHOULD_NOT_HAVE_BEEN_CALLED).flatMap((line) => {
    const near = sites.filter(({ address }) => Math.abs(address - site.address) < WRITE_BYTES_MAX);
    const has = (reason: number, from: number, to: number): boolean =>
      near.some((other) => linesOf(other, reason).some((at) => at >= line + from && at <= line + to));
    return has(UNINITIALIZED, 3, 9) && has(HANDSHAKE_FAILURE, 12, 30) ? [{ site, line }] : [];
  }));
}

/** Reports of 66 some lines above SSL_write's, in the same source file where both name it. */
function findReads(sites: readonly ErrorSite[], write: Write): ErrorSite[] {
  const lineOf = (site: ErrorSite): number =>
    Math.max(0, ...linesOf(site, SHOULD_NOT_HAVE_BEEN_CALLED).filter((line) => line < write.line && line > write.line - READ_LINES_MAX));
  const candidates = sites.filter((site) => lineOf(site) > 0 && haveSameFile(site, write.site));
  // SSL_read and SSL_peek share one line; the nearest one, should there be more.
  const nearest = Math.max(0, ...candidates.map(lineOf));
  return candidates.filter((site) => lineOf(site) === nearest);
}

function haveSameFile(a: ErrorSite, b: ErrorSite): boolean {
  return a.file === null || b.file === null || a.file === b.file;
}

/** What may be the line, where the reason is this one: the other constant. */
function linesOf({ constants }: ErrorSite, reason: number): number[] {
  const at = constants.indexOf(reason);
  return at === -1 ? [] : constants.filter((_, index) => index !== at);
}

/** SSL_read is the one that takes: it moves the start of what is left by what it gave. */
function chooseRead(elf: ElfView, starts: readonly (number | null)[]): number | null {
  const different = [...new Set(starts)].filter((start) => start !== null);
  if (different.length <= 1) return different[0] ?? null;
  const taking = different.filter((start) => addsToMemory(elf.readAt(start, distanceToNext(start, different))));
  return taking.length === 1 ? taking[0] ?? null : null;
}

function distanceToNext(start: number, starts: readonly number[]): number {
  return Math.min(READ_BYTES_MAX, ...starts.filter((other) => other > start).map((other) => other - start));
}

/** `add [register + disp32], register`, 64 bits wide, with a displacement within the structure. */
function addsToMemory(code: Buffer): boolean {
  for (let at = 0; at + 7 <= code.length; at++) {
    const isWide = ((code[at] ?? 0) & 0xf8) === 0x48 && code[at + 1] === 0x01 && ((code[at + 2] ?? 0) & 0xc0) === 0x80;
    if (isWide && code.readUInt32LE(at + 3) < 0x1000) return true;
  }
  return false;
}
