/** Which values can fit a field at all: what never could is an error where the filter is read, not silence while it runs. */
import type { Value } from './expression.ts';
import { type Field, kindOf } from './fields.ts';
import type { Operator } from './tokens.ts';

/** null: it may fit. */
export function problemWith(field: Field, operator: Operator, value: Value): string | null {
  const kinds = new Set(field.paths.map(kindOf));
  const [kind] = kinds.size === 1 ? kinds : [];
  const { text, quoted } = value;
  const isOrder = operator.startsWith('<') || operator.startsWith('>');
  if (!isOrder && operator !== '=' && operator !== '!=') return null;
  if (!isOrder && !quoted && text === 'null') return null;
  if (isOrder && (kind === 'text' || kind === 'boolean')) return `${operator} compares numbers, and ${field.name} is ${kind === 'text' ? 'text' : 'true or false'}`;
  if (kind === 'boolean') return !quoted && (text === 'true' || text === 'false') ? null : `${field.name} is true or false`;
  // An order looks at what a text says, quoted or not.
  const bare: Value = { text, quoted: quoted && !isOrder };
  if (kind === 'time') return isWhole(bare) || (!bare.quoted && epochNanoseconds(text) !== null) ? null : `${field.name} is a time, as 2026-01-31T10:00:00Z, or in nanoseconds since 1970`;
  if ((kind !== 'number' && !isOrder) || isNumber(bare)) return null;
  return `${quoted ? JSON.stringify(text) : text} is no number${quoted && isNumber({ text, quoted: false }) ? ', but without the quotes' : unitOf(field.name)}`;
}

function isNumber({ text, quoted }: Value): boolean {
  return !quoted && text.trim() !== '' && Number.isFinite(Number(text));
}

function isWhole({ text, quoted }: Value): boolean {
  return !quoted && /^-?\d+$/.test(text);
}

function unitOf(name: string): string {
  if (name.endsWith('_ms')) return `; ${name} is in milliseconds`;
  return name.endsWith('_bytes') || name === 'bytes' ? `; ${name} is in bytes` : '';
}

/** `2026-01-31T10:00:00Z`; null when it is no such time. */
export function epochNanoseconds(text: string): bigint | null {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : BigInt(ms) * 1_000_000n;
}
