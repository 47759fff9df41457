import { describe, expect, test } from 'vitest';
import type { ElfInfo } from '../../src/addon.ts';
import { firstCall, locateTls } from '../../src/runners/tls-locate.ts';

const INTERNAL = 0x1000;
const SUB_8 = [0x48, 0x83, 0xec, 0x08];
const FRAME = [0x55, 0x48, 0x89, 0xe5];
const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];

function callTo(target: number, at: number): number[] {
  const bytes = Buffer.alloc(5);
  bytes[0] = 0xe8;
  bytes.writeInt32LE(target - (at + 5), 1);
  return [...bytes];
}

/** A file of functions: each symbol with its code at its offset. */
function file(functions: Readonly<Record<string, { readonly offset: number; readonly code: readonly number[] }>>) {
  const symbols = Object.entries(functions).map(([name, { offset, code }]) => ({ name, offset, size: code.length }));
  const readElf = (_path: string, names: readonly string[]): ElfInfo => ({
    buildId: null,
    needed: [],
    rpath: null,
    runpath: null,
    symbols: symbols.filter((symbol) => names.includes(symbol.name)),
  });
  const readBytes = (_path: string, offset: number, length: number): Uint8Array => {
    if (offset === 0) return Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);
    const found = Object.values(functions).find((entry) => entry.offset === offset);
    return Uint8Array.from(found?.code ?? []).subarray(0, length);
  };
  return locateTls('/lib/any.so', readElf, readBytes);
}

/** SSL_NAME as compilers write it, handing on to the internal function. */
function openSsl(prologue: readonly number[], plainCallee = INTERNAL, extendedExtra: readonly number[] = []) {
  const extended = [...prologue, ...extendedExtra];
  return {
    SSL_read: { offset: 0x100, code: [...SUB_8, 0x31, 0xc0, ...callTo(plainCallee, 0x106), 0xc3] },
    SSL_write: { offset: 0x200, code: [...SUB_8, 0x31, 0xc0, ...callTo(plainCallee, 0x206), 0xc3] },
    SSL_read_ex: { offset: 0x300, code: [...extended, ...callTo(INTERNAL, 0x300 + extended.length), 0xc3] },
    SSL_write_ex: { offset: 0x400, code: [...extended, ...callTo(INTERNAL, 0x400 + extended.length), 0xc3] },
    SSL_free: { offset: 0x500, code: [0xc3] },
  };
}

describe('where OpenSSL is hooked', () => {
  test.each([
    ['a bare prologue', SUB_8],
    ['a frame pointer', FRAME],
    ['a landing pad for indirect branches', [...ENDBR64, ...SUB_8]],
  ])('with %s, in the common callee of both public functions', (_name, prologue) => {
    expect(file(openSsl(prologue))).toEqual({
      kind: 'hook',
      library: 'openssl',
      method: 'internal',
      functions: ['ssl_read_internal', 'ssl_write_internal', 'SSL_free'],
      probes: [
        { program: 'ssl_read_ex_exit', offset: INTERNAL },
        { program: 'ssl_read_ex_enter', offset: INTERNAL },
        { program: 'ssl_write_ex_exit', offset: INTERNAL },
        { program: 'ssl_write_ex_enter', offset: INTERNAL },
        { program: 'ssl_free_enter', offset: 0x500 },
      ],
    });
  });

  test('in the public functions when an argument is moved before the call', () => {
    // mov %rcx,%r8: ssl_write_internal of OpenSSL 3.3 takes one more argument.
    const plan = file(openSsl(SUB_8, INTERNAL, [0x49, 0x89, 0xc8]));
    expect(plan).toMatchObject({
      method: 'symbol',
      functions: ['SSL_read', 'SSL_read_ex', 'SSL_write', 'SSL_write_ex', 'SSL_free'],
    });
  });

  test('in the public functions when the two call different ones', () => {
    expect(file(openSsl(SUB_8, 0x2000))).toMatchObject({ method: 'symbol' });
  });

  test('in the plain functions of a version that has no others', () => {
    const { SSL_read, SSL_write } = openSsl(SUB_8);
    expect(file({ SSL_read, SSL_write })).toMatchObject({
      method: 'symbol',
      functions: ['SSL_read', 'SSL_write'],
      probes: [
        { program: 'ssl_read_exit', offset: 0x100 },
        { program: 'ssl_read_enter', offset: 0x100 },
        { program: 'ssl_write_exit', offset: 0x200 },
        { program: 'ssl_write_enter', offset: 0x200 },
      ],
    });
  });

  test('no call is seen in code that is cut off or starts otherwise', () => {
    const code = Uint8Array.from([...SUB_8, ...callTo(INTERNAL, 4)]);
    expect(firstCall(code, 0)).toBe(INTERNAL);
    for (let length = 0; length < code.length; length++) expect(firstCall(code.subarray(0, length), 0)).toBeNull();
    expect(firstCall(code.subarray(1), 1)).toBeNull();
  });
});

describe('the handshake of OpenSSL is hooked', () => {
  const at = (offset: number) => ({ offset, code: [0xc3] });

  test('in its public function', () => {
    expect(file({ ...openSsl(SUB_8), SSL_do_handshake: at(0x600), ossl_statem_connect: at(0x700) }))
      .toMatchObject({ functions: expect.arrayContaining(['SSL_do_handshake']) });
  });

  test('in the state machine below it, where both halves have a name', () => {
    const plan = file({ ...openSsl(SUB_8), SSL_do_handshake: at(0x600), ossl_statem_connect: at(0x700), ossl_statem_accept: at(0x800) });
    expect(plan).toMatchObject({ functions: expect.not.arrayContaining(['SSL_do_handshake']) });
    expect(plan.kind === 'hook' && plan.probes.filter(({ program }) => program.startsWith('handshake')))
      .toEqual([0x700, 0x800].flatMap((offset) => [{ program: 'handshake_exit', offset }, { program: 'handshake_enter', offset }]));
  });
});

describe('where other C libraries are hooked', () => {
  const named = (names: readonly string[]) => Object.fromEntries(names.map((name, index) => [name, { offset: 0x100 * (index + 1), code: [0xc3] }]));
  const GNUTLS = ['gnutls_record_recv', 'gnutls_record_send', 'gnutls_record_send2', 'gnutls_handshake', 'gnutls_deinit'];

  test('GnuTLS, in the inner one of its two writes', () => {
    expect(file(named(GNUTLS))).toMatchObject({
      kind: 'hook', library: 'gnutls', method: 'symbol',
      functions: ['gnutls_record_recv', 'gnutls_record_send2', 'gnutls_handshake', 'gnutls_deinit'],
      probes: expect.arrayContaining([{ program: 'ssl_write_enter', offset: 0x300 }]),
    });
  });

  test('GnuTLS before 3.6.3, in the only write it has; without its handshake, too', () => {
    expect(file(named(GNUTLS.slice(0, 2)))).toMatchObject({
      functions: ['gnutls_record_recv', 'gnutls_record_send'], probes: expect.arrayContaining([{ program: 'ssl_write_enter', offset: 0x200 }]),
    });
  });

  test('NSS, in the functions of NSPR', () => {
    expect(file(named(['PR_Read', 'PR_Recv', 'PR_Write', 'PR_Send', 'PR_Close']))).toMatchObject({
      library: 'nss',
      probes: [
        { program: 'ssl_read_exit', offset: 0x100 }, { program: 'nspr_read_enter', offset: 0x100 },
        { program: 'ssl_read_exit', offset: 0x200 }, { program: 'nspr_recv_enter', offset: 0x200 },
        { program: 'ssl_write_exit', offset: 0x300 }, { program: 'nspr_write_enter', offset: 0x300 },
        { program: 'ssl_write_exit', offset: 0x400 }, { program: 'nspr_write_enter', offset: 0x400 },
        { program: 'ssl_free_enter', offset: 0x500 },
      ],
    });
  });

  test('not where one direction would be missing', () => {
    expect(file(named(GNUTLS.slice(1)))).toEqual({ kind: 'none' });
  });
});

describe('what is not hooked', () => {
  test('a file without any of the symbols has no TLS', () => {
    expect(file({})).toEqual({ kind: 'none' });
  });

  test('a file that is not ELF has no TLS', () => {
    const readElf = (): ElfInfo => {
      throw new Error('must not be asked');
    };
    expect(locateTls('/bin/script', readElf, () => Uint8Array.from(Buffer.from('#!/b')))).toEqual({ kind: 'none' });
  });

  test('a file that cannot be read says why', () => {
    const readBytes = (): Uint8Array => {
      throw new Error('permission denied');
    };
    expect(locateTls('/lib/x.so', () => ({ buildId: null, needed: [], rpath: null, runpath: null, symbols: [] }), readBytes))
      .toEqual({ kind: 'failed', reason: 'permission denied' });
  });
});
