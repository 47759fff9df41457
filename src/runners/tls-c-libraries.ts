/**
 * C libraries that one fixed set of exported functions carries the plaintext
 * of: GnuTLS, and NSS, whose reads and writes are NSPR's (libnspr4.so). NSPR
 * serves files of all kinds with them; the kernel side picks out those with
 * TLS (bpf/nspr.bpf.h).
 */
import type { ElfSymbol, UprobeProgram } from '../addon.ts';
import type { NamedTlsLibrary, TlsLibrary } from '../event.ts';

interface CFunction {
  /** The first of these that the file exports. */
  readonly names: readonly string[];
  /** In the order of attaching, the exit first. */
  readonly programs: readonly UprobeProgram[];
  /** Without it bytes are captured all the same. */
  readonly optional?: boolean;
}

interface CLibrary {
  readonly library: TlsLibrary;
  readonly functions: readonly CFunction[];
}

const READ_EXIT = 'ssl_read_exit';
const WRITE_EXIT = 'ssl_write_exit';

const LIBRARIES: readonly CLibrary[] = [
  {
    library: 'gnutls',
    functions: [
      { names: ['gnutls_record_recv'], programs: [READ_EXIT, 'ssl_read_enter'] },
      // From 3.6.3 on, gnutls_record_send is a call of gnutls_record_send2.
      { names: ['gnutls_record_send2', 'gnutls_record_send'], programs: [WRITE_EXIT, 'ssl_write_enter'] },
      { names: ['gnutls_handshake'], programs: ['handshake_exit', 'handshake_enter'], optional: true },
      { names: ['gnutls_deinit'], programs: ['ssl_free_enter'], optional: true },
    ],
  },
  {
    library: 'nss',
    functions: [
      { names: ['PR_Read'], programs: [READ_EXIT, 'nspr_read_enter'] },
      { names: ['PR_Recv'], programs: [READ_EXIT, 'nspr_recv_enter'] },
      { names: ['PR_Write'], programs: [WRITE_EXIT, 'nspr_write_enter'] },
      { names: ['PR_Send'], programs: [WRITE_EXIT, 'nspr_write_enter'] },
      { names: ['PR_Close'], programs: ['ssl_free_enter'], optional: true },
    ],
  },
];

/** Libraries that are told by a function and not hooked, so that nobody wonders where their bytes are. */
const NOT_CAPTURED: readonly { readonly library: NamedTlsLibrary; readonly name: string; readonly functions: readonly string[] }[] = [
  // Of libjvm.so and of programs that GraalVM compiled: Java's TLS is Java code, made into machine code as it runs.
  { library: 'jsse', name: 'JSSE', functions: ['JNI_CreateJavaVM'] },
  { library: 'wolfssl', name: 'wolfSSL', functions: ['wolfSSL_read', 'wolfSSL_write'] },
  { library: 'mbedtls', name: 'mbedTLS', functions: ['mbedtls_ssl_read', 'mbedtls_ssl_write'] },
  { library: 's2n', name: 's2n-tls', functions: ['s2n_recv', 's2n_send'] },
  { library: 'bearssl', name: 'BearSSL', functions: ['br_ssl_engine_recvapp_buf', 'br_ssl_engine_sendapp_buf'] },
];

export const C_LIBRARY_NAMES: readonly string[] = [
  ...LIBRARIES.flatMap(({ functions }) => functions.flatMap(({ names }) => names)),
  ...NOT_CAPTURED.flatMap(({ functions }) => functions),
];

/** null when it is none of those that we can tell and not hook. */
export function nameCLibrary(symbols: ReadonlyMap<string, ElfSymbol>): { readonly library: NamedTlsLibrary; readonly reason: string } | null {
  const known = NOT_CAPTURED.find(({ functions }) => functions.every((name) => symbols.has(name)));
  return known === undefined ? null : { library: known.library, reason: `${known.name}, not captured` };
}

export interface CLibraryPlan {
  readonly library: TlsLibrary;
  readonly functions: readonly string[];
  readonly probes: readonly { readonly program: UprobeProgram; readonly offset: number }[];
}

/** null when the file exports none of them whole. */
export function planCLibrary(symbols: ReadonlyMap<string, ElfSymbol>): CLibraryPlan | null {
  for (const { library, functions } of LIBRARIES) {
    const found = functions.map(({ names }) => names.flatMap((name) => symbols.get(name) ?? [])[0]);
    if (functions.some(({ optional }, index) => optional !== true && found[index] === undefined)) continue;
    return {
      library,
      functions: found.flatMap((symbol) => symbol?.name ?? []),
      probes: functions.flatMap(({ programs }, index) => {
        const symbol = found[index];
        return symbol === undefined ? [] : programs.map((program) => ({ program, offset: symbol.offset }));
      }),
    };
  }
  return null;
}
