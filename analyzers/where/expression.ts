/** A filter as it was understood: what the parser makes, and what everything else reads. */
import type { Field } from './fields.ts';
import type { Operator } from './tokens.ts';

export type Expression =
  | { readonly kind: 'all'; readonly of: readonly Expression[] }
  | { readonly kind: 'any'; readonly of: readonly Expression[] }
  | { readonly kind: 'not'; readonly of: Expression }
  /** True where one of the values fits; with `!=` and `!~`, where none does. */
  | { readonly kind: 'compare'; readonly field: Field; readonly operator: Operator; readonly values: readonly Value[] }
  /** The event has the field, and it is neither null nor false nor empty. */
  | { readonly kind: 'present'; readonly field: Field };

export interface Value {
  readonly text: string;
  /** `null`, `true` and numbers mean themselves only without quotes. */
  readonly quoted: boolean;
}

export function all(...of: readonly Expression[]): Expression {
  return of.length === 1 && of[0] !== undefined ? of[0] : { kind: 'all', of };
}

export function any(...of: readonly Expression[]): Expression {
  return of.length === 1 && of[0] !== undefined ? of[0] : { kind: 'any', of };
}
