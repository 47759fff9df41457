/** Greetings by their sockets. */
import { expect, test } from 'vitest';
import { createGreetings } from '../../src/decode/greetings.ts';

const greeting = (serverName: string) => ({ serverName, alpn: [] });

test('a socket has its last greeting until it is closed', () => {
  const greetings = createGreetings();
  greetings.heard('1', greeting('a'));
  greetings.heard('1', greeting('b'));
  greetings.heard('2', greeting('c'));
  expect([greetings.of('1'), greetings.of('2'), greetings.of('3')]).toEqual([greeting('b'), greeting('c'), null]);
  greetings.closed('1');
  expect(greetings.of('1')).toBeNull();
});

test('of more sockets than are kept, the one that was heard longest ago is forgotten and counted', () => {
  const greetings = createGreetings(2);
  for (const socket of ['1', '2', '1', '3']) greetings.heard(socket, greeting(socket));
  expect(['1', '2', '3'].map((socket) => greetings.of(socket)?.serverName)).toEqual(['1', undefined, '3']);
  expect(greetings.counters()).toEqual({ greetings_forgotten: 1 });
});
