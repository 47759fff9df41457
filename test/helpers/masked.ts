/** What redaction masks of a text, and what it leaves. */
import { expect } from 'vitest';
import { locateSecrets } from '../../analyzers/redact.ts';

/** The text with what was located replaced at equal length. */
export function masked(part: 'head' | 'body', text: string): string {
  const bytes = Buffer.from(text);
  for (const { start, end } of locateSecrets(part, Buffer.from(bytes))) bytes.fill('*', start, end);
  expect(bytes).toHaveLength(Buffer.byteLength(text));
  return bytes.toString();
}

/** ‹ and › mark what must be masked; the rest must stay. */
export function expectMasked(part: 'head' | 'body', marked: string): void {
  const plain = marked.replace(/[‹›]/g, '');
  const wanted = marked.replace(/‹([^›]*)›/g, (_, secret: string) => '*'.repeat(Buffer.byteLength(secret)));
  expect(masked(part, plain)).toBe(wanted);
  expect(locateSecrets(part, Buffer.from(wanted)), 'masked text has no further secrets').toEqual([]);
}
