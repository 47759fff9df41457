/** A raw capture, masked, and what a replay of it gives. */
import { expect } from 'vitest';
import type { HttpOptions } from '../../analyzers/http.ts';
import type { TlsEvent } from '../../src/event.ts';
import { analyze } from '../cases.ts';

export interface ReplayCase extends Pick<HttpOptions, 'locateSecrets'> {
  readonly secret: string;
  /** Said with a failure. */
  readonly where: string;
}

/** No chunk is lost, the secret is nowhere, and a replay tells what the live run told. */
export function expectEqualReplay(events: readonly TlsEvent[], { locateSecrets, secret, where }: ReplayCase): void {
  const live = analyze(events, { locateSecrets });
  const raw = analyze(events, { locateSecrets, raw: true });
  expect(raw.derived, where).toEqual(live.derived);
  expect(raw.chunks, where).toHaveLength(events.length);
  expect(analyze(raw.chunks, { locateSecrets }).derived, where).toEqual(live.derived);
  const written = Buffer.concat(raw.chunks.flatMap(({ data }) => (data.event === 'DATA' ? [data.payload] : [])));
  expect(written.includes(secret), where).toBe(false);
  expect(JSON.stringify(live.derived).includes(secret), where).toBe(false);
}
