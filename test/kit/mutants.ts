import { registerHooks } from 'node:module';

/** A planted error: in a module, one text in place of another. */
export interface Mutant {
  /** What is broken, for the test's name. */
  readonly what: string;
  /** As it is imported: `#policy/authz/evaluate.ts`. */
  readonly module: string;
  readonly text: string;
  readonly becomes: string;
}

const MARK = 'mutant';

/**
 * Loads `entry` with the error planted, beside the sound one: it and what it imports of the same
 * folder are modules of their own.
 * @throws when the text is not in the module exactly once: the mutant is out of date
 */
export async function importMutant<T>(entry: string, mutant: Mutant, number: number): Promise<T> {
  const folder = entry.slice(0, entry.lastIndexOf('/') + 1);
  let planted = false;
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context);
      const isMutated = context.parentURL?.endsWith(`${MARK}=${number}`) || specifier === entry;
      if (!isMutated || !specifier.startsWith(folder)) return resolved;
      return { ...resolved, url: `${resolved.url.split('?', 1)[0]}?${MARK}=${number}` };
    },
    load(url, context, nextLoad) {
      if (!url.endsWith(`?${MARK}=${number}`)) return nextLoad(url, context);
      const loaded = nextLoad(url.split('?', 1)[0] ?? url, context);
      if (!url.includes(mutant.module.slice(1))) return loaded;
      const source = String(loaded.source);
      if (source.split(mutant.text).length !== 2)
        throw new Error(`"${mutant.text}" is not exactly once in ${mutant.module}`);
      planted = true;
      return { ...loaded, source: source.replace(mutant.text, () => mutant.becomes) };
    },
  });
  try {
    const module = (await import(entry)) as T;
    if (!planted) throw new Error(`${entry} does not import ${mutant.module}`);
    return module;
  } finally {
    hooks.deregister();
  }
}
