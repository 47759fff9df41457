/** What was asked for on each socket where TLS began: the connections over it belong to that. */
import { LIMITS } from '../limits.ts';
import { Counters } from '../stats.ts';

export interface Greeting {
  readonly serverName: string | null;
  /** What the client offered. */
  readonly alpn: readonly string[];
}

export interface Greetings {
  /** By the socket's inode number. A second greeting replaces the first: another connection has the number now. */
  heard(socket: string, greeting: Greeting): void;
  of(socket: string): Greeting | null;
  closed(socket: string): void;
  counters(): Readonly<Record<string, number>>;
}

export function createGreetings(limit: number = LIMITS.netSockets): Greetings {
  const greetings = new Map<string, Greeting>();
  const counters = new Counters(['greetings_forgotten']);
  return {
    heard(socket, greeting) {
      greetings.delete(socket);
      if (greetings.size >= limit) {
        greetings.delete(greetings.keys().next().value as string);
        counters.add('greetings_forgotten');
      }
      greetings.set(socket, greeting);
    },
    of: (socket) => greetings.get(socket) ?? null,
    closed: (socket) => void greetings.delete(socket),
    counters: () => counters.snapshot(),
  };
}
