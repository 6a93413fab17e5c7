import { nearName } from '#api/near-name.ts';
import type { Schema } from '#api/schema.ts';

/** How deep below the wrong place a field is looked for. */
const DEPTH_MAX = 4;

/** The path of the nearest field of this name below the schema, lists written `[]`. */
function fieldBelow(schema: Schema, name: string): string | undefined {
  let level: readonly (readonly [string, Schema])[] = [['', schema]];
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const next: (readonly [string, Schema])[] = [];
    for (const [path, node] of level) {
      for (const [key, member] of Object.entries(node.properties ?? {})) {
        const at = path === '' ? key : `${path}.${key}`;
        if (key === name) return at;
        next.push(member.items === undefined ? [at, member] : [`${at}[]`, member.items]);
      }
    }
    level = next;
  }
  return undefined;
}

/**
 * The path, from the schema on, of the field that a user most likely meant by an unknown `name`:
 * one that is spelled nearly so, or one of just this name further inside (`mode` → `mtls.mode`).
 */
export function nearField(schema: Schema, name: string): string | undefined {
  return nearName(name, Object.keys(schema.properties ?? {})) ?? fieldBelow(schema, name);
}
