import { ageColumn, fieldColumn } from '#api/columns.ts';
import { forbidden, invalid, required, violates } from '#api/field-error.ts';
import { defineKind, type KindDefinition, type Report } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, integer, object, text, type ValueOf } from '#api/schema.ts';
import { isBulwarkError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { parseBundleText } from '#spiffe/bundle.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';

const endpoint = object('Where the bundle is fetched, again and again (SPIFFE Federation).', {
  url: text('An https URL without user name.', { maxLength: 2048 }),
  profile: choice(
    'How the endpoint proves who it is: `https_web` by a certificate for the host name, ' +
      '`https_spiffe` by the certificate of `endpointSpiffeId`, verified with the bundle itself.',
    ['https_web', 'https_spiffe'],
    { default: 'https_spiffe' },
  ),
  endpointSpiffeId: text(
    'Who serves the endpoint, a SPIFFE id of the trust domain. For ' + '`https_spiffe`.',
    { maxLength: 2048 },
  ),
  caCertificates: text(
    'For `https_web`: PEM of the roots that the endpoint is verified against; those of the system ' +
      'when left out.',
    { maxLength: LIMITS.bundleBytesMax },
  ),
});

const spec = object('Whom to trust for which trust domain.', {
  trustDomain: text('The other trust domain; never one of this mesh. Cannot be changed.', {
    maxLength: 255,
  }),
  bundle: text(
    'What vouches for it: a SPIFFE bundle (JSON Web Key Set) or root certificates, PEM. With an ' +
      'endpoint of profile `https_spiffe`, the first bundle to verify that with.',
    { maxLength: LIMITS.bundleBytesMax },
  ),
  endpoint,
});

const status = object('What is known of the bundle; written by the control plane.', {
  url: text('Where `bundle` was fetched.'),
  bundle: text('The last good bundle that was fetched, JSON.'),
  lastFetched: text('When it was fetched, RFC 3339.', { format: 'date-time' }),
  sequence: integer('Its `spiffe_sequence`.'),
  roots: integer('Root certificates in the bundle in use.'),
  keys: integer('Keys for tokens in the bundle in use.'),
  notAfter: text('When the last of the roots in use expires, RFC 3339.', { format: 'date-time' }),
  error: text('Why the last attempt to fetch it failed, or why it is not used.'),
});

/** The spec of a TrustBundle. */
export type TrustBundleSpec = ValueOf<typeof spec>;

/** The status of a TrustBundle. */
export type TrustBundleStatus = ValueOf<typeof status>;

/** Another trust domain, and what vouches for its identities. */
export interface TrustBundle extends ApiObject {
  readonly spec: TrustBundleSpec;
  readonly status?: TrustBundleStatus;
}

/** TrustBundle (`bulwark.mesh/v1alpha1`), cluster-scoped; deleting it ends the trust. */
export const trustBundle: KindDefinition<TrustBundle> = defineKind<TrustBundle>({
  group: 'bulwark.mesh',
  versions: ['v1alpha1'],
  kind: 'TrustBundle',
  plural: 'trustbundles',
  shortNames: ['tb'],
  categories: ['bulwark'],
  namespaced: false,
  statusSubresource: true,
  nameRule: 'subdomain',
  countMax: LIMITS.trustBundlesMax,
  description:
    'Federates the mesh with another trust domain: its identities are verified with these roots ' +
    'and no others, and may be named in policies. By itself it allows nobody anything.',
  fields: { spec, status },
  requiredFields: ['spec'],
  columns: [
    fieldColumn('Trust-Domain', '.spec.trustDomain', 'The other trust domain.'),
    fieldColumn('Sequence', '.status.sequence', 'Which edition of the bundle is in use.'),
    fieldColumn('Fetched', '.status.lastFetched', 'When the bundle was fetched.'),
    fieldColumn('Error', '.status.error', 'Why the last attempt failed.'),
    ageColumn,
  ],
  check: ({ spec: said }, report) => checkSpec(said, report),
  checkChange(before, after, report) {
    if (before.spec.trustDomain === after.spec.trustDomain) return;
    const remedy = 'make another TrustBundle';
    report(forbidden('spec.trustDomain', 'the trust domain cannot be changed', remedy));
  },
});

function checkSpec(said: TrustBundleSpec, report: Report): void {
  const { trustDomain, bundle, endpoint: source } = said;
  if (trustDomain === undefined) report(required('spec.trustDomain'));
  else
    checked('spec.trustDomain', report, () => {
      parseTrustDomain(trustDomain);
    });
  if (bundle === undefined && source === undefined)
    report(required('spec', 'one of bundle and endpoint'));
  if (bundle !== undefined) checkBundle('spec.bundle', bundle, report);
  if (source) checkEndpoint(said, report);
}

function checkEndpoint(
  { trustDomain, bundle, endpoint: source = {} }: TrustBundleSpec,
  report: Report,
): void {
  const { url, profile = 'https_spiffe', endpointSpiffeId, caCertificates } = source;
  if (url === undefined) report(required('spec.endpoint.url'));
  else if (!isEndpointUrl(url))
    // Without the value: somebody may have written a password into it.
    report(violates('spec.endpoint.url', 'must be an https URL without user name'));
  if (caCertificates !== undefined)
    checkBundle('spec.endpoint.caCertificates', caCertificates, report);
  if (profile === 'https_web') {
    if (endpointSpiffeId !== undefined)
      report(forbidden('spec.endpoint.endpointSpiffeId', 'only with the profile https_spiffe'));
    return;
  }
  if (caCertificates !== undefined)
    report(forbidden('spec.endpoint.caCertificates', 'only with the profile https_web'));
  if (bundle === undefined)
    report(required('spec.bundle', 'https_spiffe needs a first bundle to verify the endpoint'));
  if (endpointSpiffeId === undefined) report(required('spec.endpoint.endpointSpiffeId'));
  else
    checked('spec.endpoint.endpointSpiffeId', report, () => {
      const id = parseSpiffeId(endpointSpiffeId);
      if (!id.startsWith(`spiffe://${trustDomain}/`))
        report(
          invalid('spec.endpoint.endpointSpiffeId', id, 'must be an identity of the trust domain'),
        );
    });
}

function checkBundle(field: string, textOfBundle: string, report: Report): void {
  checked(field, report, () => {
    const { roots, jwtAuthorities } = parseBundleText(textOfBundle);
    if (roots.length + jwtAuthorities.length === 0)
      report(violates(field, 'it holds no root and no key'));
  });
}

function checked(field: string, report: Report, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!isBulwarkError(error)) throw error;
    report(violates(field, error.message));
  }
}

function isEndpointUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, username, password } = new URL(url);
  return protocol === 'https:' && username === '' && password === '';
}
