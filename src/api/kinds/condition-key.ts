import { isIpBlock } from '#api/address.ts';
import { isHeaderName, nameInBrackets, namesInBrackets } from '#api/bracketed-names.ts';

/** Attributes that stand for one value. */
const PLAIN_KEYS: ReadonlySet<string> = new Set([
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'source.trustDomain',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'destination.ip',
  'destination.port',
  'connection.sni',
]);

/** Attributes with a name in brackets, and what a user may write. */
const BRACKETED: readonly {
  readonly prefix: string;
  readonly use: string;
  /** What is wrong with what follows the prefix; `form` = it has not the form of the use. */
  readonly problem: (rest: string) => string | undefined;
}[] = [
  {
    prefix: 'request.headers',
    use: 'request.headers[<header name>]',
    problem: (rest) => {
      const name = nameInBrackets(rest);
      if (!name) return FORM;
      return isHeaderName(name) ? undefined : `no header can have the name "${name}"`;
    },
  },
  {
    prefix: 'request.auth.claims',
    use: 'request.auth.claims[<claim>]',
    problem: (rest) => {
      const names = namesInBrackets(rest);
      if (names === undefined) return FORM;
      return names.includes('') ? 'a claim has no name' : undefined;
    },
  },
  {
    prefix: 'experimental.envoy.filters.',
    use: 'experimental.envoy.filters.<filter>[<key>]',
    problem: (rest) => (/^[^[\]]+\[.+\]$/.test(rest) ? undefined : FORM),
  },
];

const FORM = 'form';

/** Attributes of the old API that something else has replaced. */
const REPLACED: Readonly<Record<string, string>> = {
  'destination.namespace': 'the policy is for the namespace it is in',
  'destination.name': 'use the selector of the policy',
  'destination.user': 'use the selector of the policy',
};

/** What is wrong with a key of `when`; undefined = nothing. */
export function conditionKeyProblem(key: string): string | undefined {
  if (PLAIN_KEYS.has(key)) return undefined;
  const bracketed = BRACKETED.find(({ prefix }) => key.startsWith(prefix));
  if (bracketed !== undefined) {
    const { prefix, use, problem } = bracketed;
    const found = problem(key.slice(prefix.length));
    if (found === undefined) return undefined;
    return found === FORM ? `must have the form ${use}` : `${found}: use ${use}`;
  }
  const replaced = Object.hasOwn(REPLACED, key) ? REPLACED[key] : undefined;
  if (replaced !== undefined) return `this attribute is not supported any more: ${replaced}`;
  if (key.startsWith('destination.labels')) {
    return 'this attribute is not supported any more: use the selector of the policy';
  }
  const known = [...PLAIN_KEYS, ...BRACKETED.map(({ use }) => use)].join(', ');
  return `unknown attribute; known are ${known}`;
}

/** What is wrong with a value for a key; undefined = nothing. */
export function conditionValueProblem(key: string, value: string): string | undefined {
  if (key === 'source.ip' || key === 'remote.ip' || key === 'destination.ip') {
    return isIpBlock(value) ? undefined : 'must be an IP address or a CIDR block';
  }
  if (key !== 'destination.port') return undefined;
  const isPort = /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535;
  return isPort ? undefined : 'must be a port number between 1 and 65535';
}
