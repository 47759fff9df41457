/** Says in words, and in the shortest full form, how a filter was understood. */
import type { Expression, Value } from './expression.ts';
import type { Operator } from './tokens.ts';

const WORDS: Readonly<Record<Operator, string>> = {
  '=': 'is', '!=': 'is not', '<': 'is less than', '<=': 'is at most', '>': 'is more than', '>=': 'is at least',
  '~': 'contains', '!~': 'does not contain', '^=': 'begins with', '*=': 'contains exactly',
};

/** One line for each part, indented by its depth. */
export function explainWhere(expression: Expression, indent = ''): readonly string[] {
  switch (expression.kind) {
    case 'all': return [`${indent}all of`, ...expression.of.flatMap((part) => explainWhere(part, `${indent}  `))];
    case 'any': return [`${indent}any of`, ...expression.of.flatMap((part) => explainWhere(part, `${indent}  `))];
    case 'not': return [`${indent}not`, ...explainWhere(expression.of, `${indent}  `)];
    case 'present': return [`${indent}${expression.field.name} is there, and neither false nor empty`];
    case 'compare': {
      const { field, operator, values } = expression;
      return [`${indent}${field.name} ${WORDS[operator]} ${values.map(quoted).join(' or ')}`];
    }
  }
}

/** Parses to the same expression; brackets only where they are needed. */
export function formatWhere(expression: Expression): string {
  switch (expression.kind) {
    case 'all': return expression.of.map((part) => within(part, part.kind === 'any' || part.kind === 'all')).join(' AND ');
    case 'any': return expression.of.map((part) => within(part, part.kind === 'any')).join(' OR ');
    case 'not': return `NOT ${within(expression.of, expression.of.kind === 'all' || expression.of.kind === 'any')}`;
    case 'present': return expression.field.name;
    case 'compare': {
      const { field, operator, values } = expression;
      return `${field.name} ${operator} ${values.length === 1 ? values.map(quoted).join('') : `(${values.map(quoted).join(', ')})`}`;
    }
  }
}

function within(part: Expression, bracketed: boolean): string {
  return bracketed ? `(${formatWhere(part)})` : formatWhere(part);
}

function quoted({ text, quoted: isQuoted }: Value): string {
  if (!isQuoted && /^[\w./:@%+*-]+$/.test(text)) return text;
  return `"${text.replaceAll(/[\\"\n\r\t]/g, (character) => ({ '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' })[character] ?? character)}"`;
}
