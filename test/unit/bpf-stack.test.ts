/**
 * Linux before 6.13 gives all frames of a chain of calls 512 bytes of stack
 * together; newer ones give each frame as much. So the machine that the tests
 * run on would not notice.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OUTPUTS } from '../../src/setup/build-bpf.mjs';
import { deepestChains } from '../helpers/bpf-object.ts';
import { ROOT } from '../helpers/files.ts';

const STACK_BYTES = 512;
const PREBUILT = join(ROOT, 'bpf/prebuilt');

const objects = OUTPUTS.filter((name) => name.endsWith('.o'));

describe('the stack of a BPF program and all that it calls', () => {
  it.each(objects)('has at most 512 bytes: %s', (object) => {
    const chains = deepestChains(join(PREBUILT, object));
    expect(chains.filter(({ bytes }) => bytes > STACK_BYTES)).toEqual([]);
    // Every program is there, and the least of them has a frame.
    expect(chains.length).toBeGreaterThan(40);
    expect(Math.min(...chains.map(({ bytes }) => bytes))).toBeGreaterThan(0);
  });

  it('counts what functions of functions and steps of loops take', () => {
    const chain = deepestChains(join(PREBUILT, 'x86_64/agentsight.bpf.o')).map(({ functions }) => functions.map((text) => text.split(' ')[0]));
    expect(chain).toContainEqual(['on_syscall_exit', 'send_call', 'send_next_message', 'send_next_part', 'send_stdio_part', 'copy_user']);
  });
});
