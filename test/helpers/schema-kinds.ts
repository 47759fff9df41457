/** What the schema of events allows at each path: `*` stands for a place in a list, `**` for whatever there is below. */

/** As much as is read of one of zod's. */
interface Schema {
  readonly def: {
    readonly type: string;
    readonly innerType?: Schema;
    readonly element?: Schema;
    readonly options?: readonly Schema[];
    readonly items?: readonly Schema[];
    readonly shape?: Readonly<Record<string, Schema>>;
    readonly values?: readonly unknown[];
  };
}

/** Fields of protobuf hold fields: what is below is not followed. */
const RECURSIVE = 'fields';

export function kindsOf(schemas: Readonly<Record<string, object>>): ReadonlyMap<string, ReadonlySet<string>> {
  const kinds = new Map<string, Set<string>>();
  const note = (path: string, kind: string): void => void kinds.set(path, (kinds.get(path) ?? new Set()).add(kind));

  function walk({ def }: Schema, path: string): void {
    for (const inner of [def.innerType, ...def.options ?? []]) if (inner !== undefined) walk(inner, path);
    switch (def.type) {
      case 'object':
        if (path !== '') note(path, 'object');
        for (const [key, inner] of Object.entries(def.shape ?? {})) walk(inner, path === '' ? key : `${path}.${key}`);
        return;
      case 'array':
      case 'tuple':
        note(path, 'list');
        if (path.endsWith(`.${RECURSIVE}`)) note(`${path}.**`, 'any');
        else for (const inner of [def.element, ...def.items ?? []]) if (inner !== undefined) walk(inner, `${path}.*`);
        return;
      case 'record':
        note(path, 'object');
        note(`${path}.**`, 'any');
        return;
      case 'literal':
        note(path, typeof def.values?.[0]);
        return;
      default:
        if (def.innerType === undefined && def.options === undefined) note(path, def.type);
    }
  }

  for (const schema of Object.values(schemas)) walk(schema as Schema, '');
  return kinds;
}
