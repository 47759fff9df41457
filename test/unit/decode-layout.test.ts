import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as layout from '../../src/decode/layout.ts';

const source = ['event.h', 'counters.h'].map((name) => readFileSync(new URL(`../../bpf/${name}`, import.meta.url), 'utf8')).join('')
  .replaceAll(/\/\*[\s\S]*?\*\//g, '');

const TYPE_BYTES: Readonly<Record<string, number>> = {
  __u8: 1, char: 1, __u16: 2, __u32: 4, __s32: 4, __u64: 8,
};

interface Struct {
  readonly bytes: number;
  readonly offsets: Readonly<Record<string, number>>;
}

/** Lays the C structs out by the rules of the ABI: each field at a multiple of its own size. */
function parseStructs(): Map<string, Struct> {
  const structs = new Map<string, Struct>();
  for (const [, name, body] of source.matchAll(/struct (\w+) \{([^}]*)\};/g)) {
    const offsets: Record<string, number> = {};
    let at = 0;
    let alignment = 1;
    for (const [, type, field, count] of body!.matchAll(/(struct \w+|\w+)\s+(\w+)(?:\[(\d+)\])?;/g)) {
      const nested = type!.startsWith('struct ') ? structs.get(type!.slice(7)) : undefined;
      const unit = nested === undefined ? TYPE_BYTES[type!] : 8;
      if (unit === undefined) throw new Error(`type ${type} of ${name}.${field} is unknown to this test`);
      expect(at % unit, `implicit padding before ${name}.${field}`).toBe(0);
      if (field !== 'header') offsets[field!] = at;
      at += nested?.bytes ?? unit * Number(count ?? 1);
      alignment = Math.max(alignment, unit);
    }
    expect(at % alignment, `implicit padding at the end of ${name}`).toBe(0);
    structs.set(name!, { bytes: at, offsets });
  }
  return structs;
}

function parseEnum(name: string): Record<string, number> {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\};`).exec(source)?.[1];
  if (body === undefined) throw new Error(`enum ${name} is not in bpf/`);
  return Object.fromEntries([...body.matchAll(/(\w+) = (\w+)/g)].map(([, key, value]) => [key, Number(value)]));
}

describe('the layout of a record', () => {
  const structs = parseStructs();

  test('every struct of event.h is mirrored, with its size', () => {
    expect(Object.fromEntries([...structs].map(([name, struct]) => [name, struct.bytes]))).toEqual(layout.SIZE);
  });

  test.each([
    ['record_header', layout.HEADER],
    ['process_fork', layout.FORK],
    ['process_exec', layout.EXEC],
    ['process_exit', layout.EXIT],
    ['tls_data', layout.TLS],
    ['tls_close', layout.TLS_CLOSE],
    ['tls_endpoint', layout.TLS_ENDPOINT],
    ['tls_handshake', layout.TLS_HANDSHAKE],
    ['stdio_data', layout.STDIO],
    ['file_change', layout.FILE_CHANGE],
    ['file_io', layout.FILE_IO],
    ['endpoint', layout.ENDPOINT],
    ['net_socket', layout.NET_SOCKET],
    ['net_data', layout.NET_DATA],
    ['signal_sent', layout.SIGNAL],
    ['readline_data', layout.READLINE],
  ])('every field of %s lies where event.h puts it', (name, mirrored) => {
    expect(structs.get(name)?.offsets).toEqual(mirrored);
  });

  test.each([
    ['record_kind', layout.RECORD_KIND],
    ['record_flag', layout.RECORD_FLAG],
    ['io_direction', layout.DIRECTION],
    ['file_change_kind', layout.FILE_CHANGE_KIND],
    ['tls_library', layout.TLS_LIBRARY],
    ['tls_evidence', layout.TLS_EVIDENCE],
    ['tcp_reset', layout.RESET],
    ['net_event', layout.NET_EVENT],
    ['net_protocol', layout.NET_PROTOCOL],
    ['net_content', layout.NET_CONTENT],
    ['signal_outcome', layout.SIGNAL_OUTCOME],
  ])('enum %s has the same names and numbers', (name, mirrored) => {
    expect(parseEnum(name)).toEqual(mirrored);
  });

  test('the counters have the same names and numbers', () => {
    const { COUNT_SOURCES: _sources, ...sources } = parseEnum('counter_source');
    const { COUNTERS_PER_SOURCE: perSource, ...counters } = parseEnum('counter');
    expect(perSource).toBe(layout.COUNTERS_PER_SOURCE);
    expect(sources).toEqual(layout.COUNTER_SOURCE);
    expect(counters).toEqual(layout.COUNTER);
  });
});
