/**
 * C libraries that one fixed set of exported functions carries the plaintext
 * of: GnuTLS, and NSS, whose reads and writes are NSPR's (libnspr4.so). NSPR
 * serves files of all kinds with them; the kernel side picks out those with
 * TLS (bpf/nspr.bpf.h).
 */
import type { ElfSymbol, UprobeProgram } from '../addon.ts';
import type { TlsLibrary } from '../event.ts';

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

export const C_LIBRARY_NAMES: readonly string[] = LIBRARIES.flatMap(({ functions }) => functions.flatMap(({ names }) => names));

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
