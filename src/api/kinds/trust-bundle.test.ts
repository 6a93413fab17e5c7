// What a TrustBundle may say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { validateObject } from '#api/validate.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';

const { root, issue } = testAuthority();
const KEYS = JSON.stringify({ keys: [] });
const WEB = { url: 'https://other.test/bundle', profile: 'https_web' };
const SPIFFE = {
  url: 'https://other.test/bundle',
  profile: 'https_spiffe',
  endpointSpiffeId: 'spiffe://other.test/ns/istio-system/sa/bundle-endpoint',
};

/** Fields that are wrong, each with what is told of it. */
function problems(spec: object): readonly string[] {
  const { diagnostics } = validateObject(
    {
      apiVersion: 'bulwark.mesh/v1alpha1',
      kind: 'TrustBundle',
      metadata: { name: 'other' },
      spec: { trustDomain: 'other.test', ...spec },
    },
    { unknownFields: 'error' },
  );
  return diagnostics.map(({ field, message }) => `${field}: ${message}`);
}

describe('a TrustBundle', () => {
  const good: Readonly<Record<string, object>> = {
    'with PEM roots': { bundle: root },
    'with an endpoint of the web': { endpoint: WEB },
    'with an endpoint of the web and its roots': { endpoint: { ...WEB, caCertificates: root } },
    'with an endpoint by SPIFFE and the roots to begin with': { bundle: root, endpoint: SPIFFE },
  };
  for (const [what, spec] of Object.entries(good))
    it(`is taken ${what}`, () => assert.deepEqual(problems(spec), []));

  const { certificate, privateKey } = issue({ uris: ['spiffe://other.test/ns/a/sa/b'] });
  const { endpointSpiffeId: _, ...nameless } = SPIFFE;
  const bad: Readonly<Record<string, [object, RegExp]>> = {
    'without anything': [{}, /^spec: .*one of bundle and endpoint/],
    'for a trust domain that is none': [
      { trustDomain: 'Other', bundle: root },
      /^spec.trustDomain/,
    ],
    'with a leaf': [{ bundle: certificate }, /^spec.bundle: .*none of an authority/],
    'with a private key': [{ bundle: `${root}${privateKey}` }, /^spec.bundle: /],
    'with nothing in it': [{ bundle: KEYS }, /^spec.bundle: .*no root and no key/],
    'with an endpoint without TLS': [
      { endpoint: { ...WEB, url: 'http://other.test/' } },
      /^spec.endpoint.url: .*https/,
    ],
    'with a user name in the URL': [
      { endpoint: { ...WEB, url: 'https://me:secret@other.test/' } },
      /^spec.endpoint.url: (?!.*secret)/,
    ],
    'by SPIFFE without roots to begin with': [{ endpoint: SPIFFE }, /^spec.bundle: /],
    'by SPIFFE without an identity': [
      { bundle: root, endpoint: nameless },
      /^spec.endpoint.endpointSpiffeId/,
    ],
    'by SPIFFE with an identity of another trust domain': [
      { bundle: root, endpoint: { ...SPIFFE, endpointSpiffeId: 'spiffe://third.test/a' } },
      /^spec.endpoint.endpointSpiffeId: .*of the trust domain/,
    ],
    'by SPIFFE with roots of the web': [
      { bundle: root, endpoint: { ...SPIFFE, caCertificates: root } },
      /^spec.endpoint.caCertificates/,
    ],
    'of the web with an identity': [
      { endpoint: { ...SPIFFE, profile: 'https_web' } },
      /^spec.endpoint.endpointSpiffeId/,
    ],
    'of an unknown profile': [{ endpoint: { ...WEB, profile: 'http' } }, /^spec.endpoint.profile/],
  };
  for (const [what, [spec, problem]] of Object.entries(bad))
    it(`is refused ${what}`, () => assert.match(problems(spec).join('\n'), problem));
});
