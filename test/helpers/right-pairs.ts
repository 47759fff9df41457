/** Load of which each request carries its number and each reply says it again: a wrong pair shows. */
import { expect } from 'vitest';

type Data = Readonly<Record<string, unknown>>;

const CONNECTIONS = 100;
const REQUESTS = 10_000;

/** 10,000 exchanges over 100 connections, seen by both sides, each whole and with its own reply. `own`: what else one has, by its number. */
export function expectRightPairs(exchanges: readonly Data[], own: (id: string) => Data): void {
  expect(exchanges).toHaveLength(2 * REQUESTS);
  for (const role of ['client', 'server']) {
    const side = exchanges.filter((data) => data['role'] === role);
    expect(side).toHaveLength(REQUESTS);
    for (const data of side) {
      const id = String(data['path']).slice('/r/'.length);
      expect(data).toMatchObject({
        state: 'complete', reason: null, pairing: 'proven', method: 'POST', status: 200, request_body: `ask=${id}`, response_headers: { 'x-id': [id] }, ...own(id),
      });
    }
    expect(new Set(side.map((data) => data['path'])).size).toBe(REQUESTS);
    expect(new Set(side.map((data) => data['connection'])).size).toBe(CONNECTIONS);
  }
}
