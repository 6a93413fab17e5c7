import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { BulwarkError } from '#base/errors.ts';

/** Where a value of an identity comes from: it is always the same, or a claim says it. */
export type OidcValue = { readonly fixed: string } | { readonly claim: string };

/** Whose tokens prove which workload. */
export interface OidcRule {
  /** `iss` of the tokens. */
  readonly issuer: string;
  /** A token must be meant for one of these. */
  readonly audiences: readonly string[];
  /** Where the keys of the issuer are: a file, or an https URL. */
  readonly jwks: { readonly file: string } | { readonly uri: URL };
  readonly namespace: OidcValue;
  readonly serviceAccount: OidcValue;
  /** Claims that a token must have, with exactly this text. */
  readonly claims: Readonly<Record<string, string>>;
}

/** Names of fields, for "did you mean" and against mistakes that would open a door. */
const FIELDS = [
  'audiences',
  'claims',
  'issuer',
  'jwksFile',
  'jwksUri',
  'namespace',
  'namespaceClaim',
  'serviceAccount',
  'serviceAccountClaim',
];

/**
 * Reads the rules for OIDC tokens: YAML, a list under `rules`. No file, no rules.
 * @throws BulwarkError CA_OIDC_RULES_INVALID that names the rule and the field
 */
export async function readOidcRules(path: string | undefined): Promise<readonly OidcRule[]> {
  if (path === undefined) return [];
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw invalid(path, 'it cannot be read', cause);
  });
  let parsed: unknown;
  try {
    parsed = load(text);
  } catch (cause) {
    throw invalid(path, 'it is not YAML', cause);
  }
  const rules = (parsed as { readonly rules?: unknown } | null)?.rules;
  if (!Array.isArray(rules)) throw invalid(path, 'it has no list "rules"');
  return rules.map((rule, index) => {
    const fail = (problem: string) => invalid(path, `rules[${index}]${problem}`);
    return parseRule(rule, { directory: dirname(path), fail });
  });
}

interface RuleContext {
  /** Paths in the file count from here. */
  readonly directory: string;
  fail(problem: string): BulwarkError;
}

function parseRule(value: unknown, { directory, fail }: RuleContext): OidcRule {
  if (typeof value !== 'object' || value === null) throw fail(' is no map');
  const fields = value as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw fail(`.${unknown} is no field; there are ${FIELDS.join(', ')}`);
  const text = (name: string): string | undefined => {
    const found = fields[name];
    if (found === undefined) return undefined;
    if (typeof found !== 'string' || found === '') throw fail(`.${name} must be a text`);
    return found;
  };
  const eitherOf = (one: string, other: string): readonly (string | undefined)[] => {
    const both = [text(one), text(other)] as const;
    if ((both[0] === undefined) === (both[1] === undefined))
      throw fail(` must have either ${one} or ${other}`);
    return both;
  };
  const identityValue = (name: string): OidcValue => {
    const [fixed, claim = ''] = eitherOf(name, `${name}Claim`);
    return fixed === undefined ? { claim } : { fixed };
  };
  const issuer = text('issuer');
  if (issuer === undefined) throw fail('.issuer is missing');
  const [file, uri = ''] = eitherOf('jwksFile', 'jwksUri');
  return {
    issuer,
    audiences: textsOf(fields.audiences, () => fail('.audiences must be a list of texts')),
    jwks: file === undefined ? { uri: httpsUrl(uri, fail) } : { file: resolve(directory, file) },
    namespace: identityValue('namespace'),
    serviceAccount: identityValue('serviceAccount'),
    claims: claimsOf(fields.claims, () => fail('.claims must be a map of texts')),
  };
}

function httpsUrl(text: string, fail: RuleContext['fail']): URL {
  const url = URL.parse(text);
  if (url?.protocol === 'https:') return url;
  throw fail('.jwksUri must begin with https://');
}

/** At least one: a token that is meant for anybody must not be good here. */
function textsOf(value: unknown, fail: () => BulwarkError): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) throw fail();
  if (!value.every((item) => typeof item === 'string' && item !== '')) throw fail();
  return value;
}

function claimsOf(value: unknown, fail: () => BulwarkError): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail();
  if (!Object.values(value).every((text) => typeof text === 'string')) throw fail();
  return value as Readonly<Record<string, string>>;
}

function invalid(path: string, problem: string, cause?: unknown): BulwarkError {
  return new BulwarkError('CA_OIDC_RULES_INVALID', `${path}: ${problem}`, {
    remedy: 'correct the file that the setting oidcRules names',
    cause,
  });
}
