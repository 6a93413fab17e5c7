import { isTestFile, type Project, type Violation } from '../project.ts';

/** What to use instead of each global. */
const INSTEAD: Readonly<Record<string, string>> = {
  'Date.now': 'Clock.now of base/clock.ts',
  'new Date()': 'Clock.now of base/clock.ts',
  'performance.now': 'Clock.monotonicMs of base/clock.ts',
  setTimeout: 'Clock.after or delay of base/clock.ts',
  setInterval: 'Clock.after of base/clock.ts',
  'Math.random': 'RandomSource of base/random.ts',
  'process.env': 'resolveSettings of base/settings.ts',
};

/**
 * Time, randomness and environment come in through constructors, so that tests can set them; base
 * has the real ones.
 */
export function checkGlobals(
  project: Project,
  exceptions: Readonly<Record<string, readonly string[]>>,
): Violation[] {
  return project.code
    .filter(({ path }) => path.startsWith('src/') && !path.startsWith('src/base/'))
    .filter(({ path }) => !isTestFile(path))
    .flatMap(({ path, facts }) => [
      ...facts.globals
        .filter(({ name }) => name in INSTEAD && !exceptions[path]?.includes(name))
        .map(({ name, line }) => ({ path, line, message: `${name}: use ${INSTEAD[name]}` })),
      ...facts.imports
        .filter(({ specifier }) => /^node:timers/.test(specifier))
        .map(({ line }) => ({ path, line, message: `timers: use ${INSTEAD.setTimeout}` })),
    ]);
}
