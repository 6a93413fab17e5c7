import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { authorizationPolicy } from '#api/kinds/authorization-policy.ts';
import { type TrustBundle, trustBundle } from '#api/kinds/trust-bundle.ts';
import { objectCheck } from '#controlplane/object-check.ts';
import { type MeshSettings, meshSettings } from '#model/mesh-settings.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';

const OWN = parseTrustDomain('own.test');
const ALIAS = parseTrustDomain('former.test');

function findings(object: object, changes: Partial<MeshSettings> = {}): readonly string[] {
  const settings = meshSettings(OWN, { trustDomainAliases: [ALIAS], ...changes });
  const found = objectCheck({ settings })(object as never);
  return found.map(({ field, message }) => `${field}: ${message}`);
}

describe('what this mesh minds of objects', () => {
  const bundle = (trustDomain: string): TrustBundle => ({
    apiVersion: trustBundle.apiVersion,
    kind: trustBundle.kind,
    metadata: { name: 'other' },
    spec: { trustDomain },
  });

  for (const domain of [OWN, ALIAS])
    it(`is that somebody else speaks for ${domain}, which is its own`, () => {
      const [found = assert.fail()] = findings(bundle(domain));
      assert.match(found, /^spec\.trustDomain: .*only its own authority speaks/);
    });

  it('is not that somebody speaks for another trust domain', () => {
    assert.deepEqual(findings(bundle('other.test')), []);
    assert.deepEqual(findings({ ...bundle(OWN), apiVersion: 'elsewhere/v1' }), []);
  });

  it('is a provider that is not there, in the profile strict', () => {
    const policy = {
      apiVersion: authorizationPolicy.apiVersion,
      kind: authorizationPolicy.kind,
      metadata: { name: 'ask', namespace: 'shop' },
      spec: { action: 'CUSTOM', provider: { name: 'nobody' }, rules: [{}] },
    };
    const [found = assert.fail()] = findings(policy, { hardening: 'strict' });
    assert.match(found, /^spec\.provider\.name: .*nobody/);
    assert.deepEqual(findings(policy, { hardening: 'istio' }), []);
  });
});
