import type { Project, Violation } from '../project.ts';

/**
 * What must not stand in the repository, and why. Written so that this file does not match itself.
 */
const BANNED: readonly {
  readonly pattern: RegExp;
  readonly reason: string;
  readonly code?: true;
}[] = [
  { pattern: /\b(T[O]DO|FI[X]ME|X[X]X|HA[C]K)\b/, reason: 'finish it, or open an issue' },
  { pattern: /\bnot (yet )?[i]mplemented\b/i, reason: 'finish it, or leave it out' },
  {
    pattern: /\b(test|it|describe|suite|t)\.(skip|only|to[d]o)\(/,
    reason: 'a test is run or removed',
    code: true,
  },
  { pattern: /\{ *(skip|only|to[d]o): /, reason: 'a test is run or removed', code: true },
  { pattern: /\bdebu[g]ger\b;/, reason: 'left over', code: true },
  { pattern: /(^|[\s"'`(=])\/(work|home|root|Users|farm)\/\w/, reason: 'a path of one machine' },
  { pattern: /registry\.npmj[s]\.org|pypi\.or[g]|pythonhoste[d]/, reason: 'names a registry host' },
];

/** The one file that holds the patterns. */
const SELF = 'test/tidy/rules/words.ts';

/** No unfinished work, no narrowed tests, nothing that is true on one machine only. */
export function checkWords(project: Project): Violation[] {
  const code = new Set(project.code.map((file) => file.path));
  return project.texts
    .filter(({ path }) => path !== SELF)
    .flatMap(({ path, lines }) =>
      lines.flatMap((text, index) => {
        const found = BANNED.find(
          (banned) => (!banned.code || code.has(path)) && banned.pattern.test(text),
        );
        if (!found) return [];
        return [{ path, line: index + 1, message: `${found.reason}: ${text.trim().slice(0, 60)}` }];
      }),
    );
}

/** The lock file keeps hashes and no addresses, so that it serves behind any mirror. */
export function checkLockFile(project: Project): Violation[] {
  const path = 'package-lock.json';
  const lock = project.texts.find((file) => file.path === path);
  if (!lock) return [{ path, line: 0, message: 'is missing' }];
  return lock.lines.flatMap((text, index) =>
    /"resolved": *"/.test(text)
      ? [{ path, line: index + 1, message: 'has an address: npm install with our .npmrc' }]
      : [],
  );
}
