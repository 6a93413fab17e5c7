import { duplicate, forbidden, invalid, required, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { labelProblems } from '#api/names.ts';
import { choice, flag, integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

const port = object('One port of the service: by number or by name.', {
  number: integer('Port of the Service (not of the workload).', { minimum: 0 }),
  name: text('Name of a port of the Service.'),
});

const target = object(
  'A service that the policy is for.',
  {
    name: text('Name of a Service in the namespace of the policy, without the namespace.'),
    labels: map('Only the workloads of the service that have these labels.', text('The value.')),
    ports: list('The ports that the policy is for; none = all of them.', port),
  },
  { required: ['name'] },
);

const mtlsFields = {
  allowTls: flag('Old way to write `mode: PERMISSIVE`.'),
  mode: choice('STRICT: mutual TLS only (the default). PERMISSIVE: plaintext as well.', [
    'STRICT',
    'PERMISSIVE',
  ]),
};

const pathMatch = object('A path, by exactly one of the fields.', {
  exact: text('The whole path.'),
  prefix: text('How the path begins.'),
  suffix: text('How the path ends.'),
  regex: text('A regular expression (RE2) for the whole path.'),
});

const triggerRule = object('Requests by their path; both lists hold where both are given.', {
  excludedPaths: list('Paths for which no token is needed.', pathMatch),
  includedPaths: list('Paths for which a token is needed; none = all.', pathMatch),
});

const jwt = object('Tokens of one issuer.', {
  issuer: text('What the claim `iss` says: a URL or an e-mail address.'),
  audiences: list(
    'Of these the claim `aud` names at least one; none = the name of the service.',
    text('An audience.'),
  ),
  jwksUri: text('Where the issuer publishes its keys (http or https).'),
  jwks: text('The keys themselves, as a JSON Web Key Set.'),
  jwtHeaders: list('Headers that carry the token.', text('Name of a header.')),
  jwtParams: list('Query parameters that carry the token.', text('Name of a parameter.')),
  triggerRules: list(
    'The requests that need a token: those for which any of the rules holds; none = all.',
    triggerRule,
  ),
});

const peer = object('One way for a caller to prove which workload it is: mtls or jwt.', {
  mtls: object('Mutual TLS; nothing, `null` and `{}` mean STRICT.', mtlsFields, {
    nullable: true,
  }),
  mTLS: object('The same as `mtls`, which is how the field is written.', mtlsFields, {
    nullable: true,
  }),
  jwt,
});

const origin = object('One way for the end user to be known.', { jwt });

const ending = {
  peers: list(
    'How a caller may prove which workload it is; one is enough. None: plaintext is taken.',
    peer,
  ),
  peerIsOptional: flag('Takes callers for which none of `peers` holds, without an identity.'),
  origins: list('How the end user may be known; one is enough.', origin),
  originIsOptional: flag('Takes requests for which none of `origins` holds.'),
  principalBinding: choice('Whose identity is the principal that authorization sees.', [
    'USE_PEER',
    'USE_ORIGIN',
  ]),
};

const targets = list(
  'The services that the policy is for; none = all of its namespace (MeshPolicy: of the mesh).',
  target,
);

/** `spec` of Policy and MeshPolicy; in the latter `targets` stays empty. */
export const authenticationPolicySpec = object('Who may call, and how that is proved.', {
  targets,
  ...ending,
});

/** What a Policy or MeshPolicy asks for. */
export interface AuthenticationPolicySpec extends ValueOf<typeof authenticationPolicySpec> {}
type Target = ValueOf<typeof target>;
type Port = ValueOf<typeof port>;
type Peer = ValueOf<typeof peer>;
type Jwt = ValueOf<typeof jwt>;
type PathMatch = ValueOf<typeof pathMatch>;

/** What RE2 has not, but other engines have: look-around and references back. */
const NOT_IN_RE2 = /\(\?<?[=!]|\\[1-9]/;

function checkPort({ name, number }: Port, field: string, report: Report): void {
  if (name !== undefined && number !== undefined) {
    report(violates(field, 'a port is told by its number or by its name, not by both'));
  } else if (number !== undefined) {
    if (number < 1 || number > 65_535) {
      report(invalid(`${field}.number`, number, 'must be between 1-65535'));
    }
  } else if (name === undefined) report(required(field, 'one of number and name'));
  else {
    for (const problem of labelProblems(name)) report(invalid(`${field}.name`, name, problem));
  }
}

function checkTarget({ name, ports }: Target, field: string, report: Report): void {
  for (const problem of labelProblems(name)) {
    report(invalid(`${field}.name`, name, `must be the short name of a service: ${problem}`));
  }
  for (const [index, at] of (ports ?? []).entries()) {
    checkPort(at, `${field}.ports[${index}]`, report);
  }
}

/**
 * `mtls` in whichever spelling; undefined = the peer is not mutual TLS. `kubectl apply` leaves out
 * what is null, so an entry with nothing in it is `mtls:` without a value.
 */
export function mtlsOfPeer(peer: Peer): NonNullable<Peer['mtls']> | undefined {
  const said = peer.mtls ?? peer.mTLS;
  if (said) return said;
  return peer.jwt === undefined ? {} : undefined;
}

function checkPeer(peer: Peer, field: string, report: Report): void {
  const ways = [peer.mtls, peer.mTLS, peer.jwt].filter((way) => way !== undefined).length;
  if (ways === 0) {
    report(warning(field, 'nothing is said; it is taken for mtls: {}', 'write mtls: {}'));
  }
  if (ways > 1) report(violates(field, 'a peer is either mtls or jwt, once'));
  if (peer.mTLS !== undefined) {
    const message = 'the field is written mtls; mTLS is taken for it';
    report(warning(`${field}.mTLS`, message, 'write mtls'));
  }
  if (mtlsOfPeer(peer)?.allowTls) {
    const message = 'allowTls is the old way to write mode: PERMISSIVE';
    report(warning(`${field}.mtls.allowTls`, message, 'write mode: PERMISSIVE'));
  }
  if (peer.jwt !== undefined) {
    const message = 'a token cannot prove which workload calls: this peer never passes';
    report(warning(`${field}.jwt`, message, 'ask for the token under origins'));
  }
}

function checkPath(match: PathMatch, field: string, report: Report): void {
  const given = Object.entries(match);
  if (given.length !== 1) {
    report(required(field, 'exactly one of exact, prefix, suffix and regex'));
  }
  for (const [name, value] of given) {
    if (value === '') report(invalid(`${field}.${name}`, value, 'must not be empty'));
  }
  if (match.regex === undefined) return;
  if (NOT_IN_RE2.test(match.regex)) {
    const detail = 'RE2 knows neither look-around nor references back';
    report(invalid(`${field}.regex`, match.regex, detail));
  } else if (!isRegex(match.regex)) {
    report(invalid(`${field}.regex`, match.regex, 'is no regular expression'));
  }
}

function isRegex(regex: string): boolean {
  try {
    new RegExp(regex);
    return true;
  } catch {
    return false;
  }
}

function checkFilled(texts: readonly string[] | undefined, field: string, report: Report): void {
  for (const [index, value] of (texts ?? []).entries()) {
    if (value === '') report(invalid(`${field}[${index}]`, value, 'must not be empty'));
  }
}

function isKeysAddress(address: string): boolean {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url?.protocol === 'http:' || url?.protocol === 'https:';
}

function checkJwt(jwt: Jwt, field: string, report: Report): void {
  if (!jwt.issuer) report(required(`${field}.issuer`));
  checkFilled(jwt.audiences, `${field}.audiences`, report);
  checkFilled(jwt.jwtHeaders, `${field}.jwtHeaders`, report);
  checkFilled(jwt.jwtParams, `${field}.jwtParams`, report);
  if (jwt.jwksUri && !isKeysAddress(jwt.jwksUri)) {
    report(invalid(`${field}.jwksUri`, jwt.jwksUri, 'must be a URL with http or https'));
  }
  if (jwt.jwksUri && jwt.jwks) {
    report(warning(field, 'of jwks and jwksUri only jwks is used', 'leave one of them out'));
  }
  for (const [rule, { excludedPaths, includedPaths }] of (jwt.triggerRules ?? []).entries()) {
    for (const [name, paths] of Object.entries({ excludedPaths, includedPaths })) {
      for (const [index, path] of (paths ?? []).entries()) {
        checkPath(path, `${field}.triggerRules[${rule}].${name}[${index}]`, report);
      }
    }
  }
}

/** Reports tokens of one issuer that are asked for twice in a list of methods. */
function checkJwts(
  methods: readonly { readonly jwt?: Jwt }[],
  field: string,
  report: Report,
): void {
  const issuers = new Set<string>();
  for (const [index, { jwt }] of methods.entries()) {
    if (jwt === undefined) continue;
    const at = `${field}[${index}].jwt`;
    checkJwt(jwt, at, report);
    if (!jwt.issuer) continue;
    if (issuers.has(jwt.issuer)) report(duplicate(`${at}.issuer`, jwt.issuer));
    issuers.add(jwt.issuer);
  }
}

/**
 * Reports what is wrong with a policy of this name. Only a policy without targets may be, and must
 * be, called `default`: so there is at most one for each namespace and one for the mesh.
 */
export function checkAuthenticationPolicy(
  spec: AuthenticationPolicySpec,
  name: string,
  report: Report,
): void {
  const { peers = [], origins = [] } = spec;
  const targetList = spec.targets ?? [];
  if (targetList.length > 0 && name === 'default') {
    const detail = 'a policy named "default" is for the whole namespace';
    report(forbidden('spec.targets', detail, 'give it another name, or leave targets out'));
  }
  if (targetList.length === 0 && name !== 'default') {
    const detail = 'a policy without targets must be named "default"';
    report(invalid('metadata.name', name, detail, 'name its services under spec.targets'));
  }
  for (const [index, at] of targetList.entries()) {
    checkTarget(at, `spec.targets[${index}]`, report);
  }
  for (const [index, at] of peers.entries()) checkPeer(at, `spec.peers[${index}]`, report);
  for (const [index, at] of origins.entries()) {
    if (at.jwt === undefined) report(required(`spec.origins[${index}].jwt`));
  }
  checkJwts(peers, 'spec.peers', report);
  checkJwts(origins, 'spec.origins', report);
  if (spec.peerIsOptional && peers.length === 0) {
    report(warning('spec.peerIsOptional', 'means nothing without peers'));
  }
  if (spec.originIsOptional && origins.length === 0) {
    report(warning('spec.originIsOptional', 'means nothing without origins'));
  }
}
