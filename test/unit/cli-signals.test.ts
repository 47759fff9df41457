import { describe, expect, it } from 'vitest';
import { onEndingSignals } from '../../src/cli/signals.ts';

describe('a request to end', () => {
  it('that arrives twice at once is one request', () => {
    const seen: string[] = [];
    const release = onEndingSignals((signal) => seen.push(signal));
    // Emitted, not sent: the test's own process must not depend on when the kernel delivers.
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGTERM', 'SIGTERM');
    release();
    expect(seen).toEqual(['SIGINT']);
    expect(process.listenerCount('SIGHUP')).toBe(0);
  });
});
