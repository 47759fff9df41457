/** TLS libraries by their number in records and in the cookies of uprobes. */
import type { TlsLibrary } from '../event.ts';
import { TLS_LIBRARY } from './layout.ts';

const NUMBERS: Readonly<Record<TlsLibrary, number>> = {
  openssl: TLS_LIBRARY.TLS_OPENSSL,
  gnutls: TLS_LIBRARY.TLS_GNUTLS,
  nss: TLS_LIBRARY.TLS_NSS,
  boringssl: TLS_LIBRARY.TLS_BORINGSSL,
  rustls: TLS_LIBRARY.TLS_RUSTLS,
  go: TLS_LIBRARY.TLS_GO,
};
const NAMES = new Map(Object.entries(NUMBERS).map(([name, number]) => [number, name as TlsLibrary]));

export function tlsLibraryNumber(library: TlsLibrary): number {
  return NUMBERS[library];
}

/** null for a number that we do not know. */
export function tlsLibraryOf(number: number): TlsLibrary | null {
  return NAMES.get(number) ?? null;
}
