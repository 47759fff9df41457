/** A connection whose protocol is not parsed: its bytes are counted and nothing else. */
import type { Channel } from './channel.ts';
import type { Protocol } from './protocol.ts';

export function createOpaque(channel: Channel): Protocol {
  const { environment, hold } = channel;
  return {
    data(direction, bytes, position) {
      const end = position + bytes.length;
      environment.counters.add('opaque_bytes', bytes.length);
      hold?.unread(direction, position, end);
      hold?.settle(direction, end);
    },
    missing(direction, position, count, withheld) {
      if (withheld) environment.counters.add('opaque_bytes', count);
      hold?.settle(direction, position + count);
    },
    end: () => {},
  };
}
