import { isIpBlock } from '#api/address.ts';

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
  readonly form: RegExp;
  readonly use: string;
}[] = [
  {
    prefix: 'request.headers',
    form: /^request\.headers\[:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+\]$/,
    use: 'request.headers[<header name>]',
  },
  {
    prefix: 'request.auth.claims',
    form: /^request\.auth\.claims(\[[^[\]]+\])+$/,
    use: 'request.auth.claims[<claim>]',
  },
  {
    prefix: 'experimental.envoy.filters.',
    form: /^experimental\.envoy\.filters\.[^[\]]+\[.+\]$/,
    use: 'experimental.envoy.filters.<filter>[<key>]',
  },
];

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
    return bracketed.form.test(key) ? undefined : `must have the form ${bracketed.use}`;
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
