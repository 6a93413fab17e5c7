import { basename } from 'node:path/posix';
import type { Project, Violation } from '../project.ts';

/** Names that say nothing: name the idea instead. */
const EMPTY_NAMES = /^(utils?|helpers?|common|types|misc|lib)\.(ts|js)$/;
const KEBAB = /^[a-z0-9]+([-.][a-z0-9]+)*\.(ts|js|tsx)$/;

/** Files of code are named in kebab-case after their main idea. */
export function checkNames(project: Project): Violation[] {
  return project.code.flatMap(({ path }) => {
    const name = basename(path);
    if (EMPTY_NAMES.test(name)) return [{ path, line: 0, message: 'name the idea of this file' }];
    if (!KEBAB.test(name)) return [{ path, line: 0, message: 'file names are in kebab-case' }];
    return [];
  });
}

/**
 * Every export of product code says what it is for. Options and Deps are said by the class or
 * function that takes them, and field by field.
 */
export function checkDocumented(project: Project): Violation[] {
  return project.code
    .filter(({ path }) => path.startsWith('src/') && !/\.(test|fuzz)\.ts$/.test(path))
    .flatMap(({ path, facts }) =>
      facts.exports
        .filter(({ name, documented }) => !documented && !/(Options|Deps)$/.test(name))
        .map(({ name, line }) => ({ path, line, message: `${name} has no doc comment` })),
    );
}
