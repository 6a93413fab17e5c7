import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CertificateRevocation } from '#api/kinds/certificate-revocation.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import { Revocations } from '#model/revocations.ts';
import { isRevoked, revokedPeer } from '#policy/authz/revoked-peers.ts';
import { parseSpiffeId, parseTrustDomain } from '#spiffe/spiffe-id.ts';

const settings = meshSettings(parseTrustDomain('cluster.local'), {
  trustDomainAliases: [parseTrustDomain('old.example')],
});
const revocation = {
  name: 'a.b',
  uid: '',
  serial: undefined,
  identity: undefined,
  issuedTo: undefined,
  reason: 'unspecified',
  revokedAt: 0,
} as const;

test('a serial is compared in whole bytes, as Envoy writes it', () => {
  const { name, serials } = revokedPeer({ ...revocation, serial: 'abc' }, settings);
  assert.equal(name, 'bulwark-revoked[a.b]');
  assert.deepEqual(serials, ['0abc']);
  assert.deepEqual(revokedPeer({ ...revocation, serial: 'abcd' }, settings).serials, ['abcd']);
});

test('an identity is refused under every name of the mesh, one of elsewhere under its own', () => {
  const identities = (identity: string) =>
    revokedPeer({ ...revocation, identity }, settings).identities;
  assert.deepEqual(identities('spiffe://old.example/ns/a/sa/b'), [
    'spiffe://cluster.local/ns/a/sa/b',
    'spiffe://old.example/ns/a/sa/b',
  ]);
  const foreign = 'spiffe://other.example/ns/a/sa/b';
  assert.deepEqual(identities(foreign), [foreign]);
});

test('a peer is revoked by its certificate or by any name of its identity', () => {
  const object = (name: string, spec: CertificateRevocation['spec']) => {
    return {
      apiVersion: 'bulwark.mesh/v1alpha1',
      kind: 'CertificateRevocation',
      metadata: { name },
      spec,
    };
  };
  const revocations = Revocations.none().next([
    object('a', { serial: '0A' }),
    object('b', { identity: 'spiffe://old.example/ns/a/sa/b' }),
  ]);
  const identity = parseSpiffeId('spiffe://cluster.local/ns/a/sa/c');
  const revoked = parseSpiffeId('spiffe://cluster.local/ns/a/sa/b');
  assert.ok(isRevoked({ identity, serial: 'a' }, revocations, settings));
  assert.ok(!isRevoked({ identity, serial: 'b' }, revocations, settings));
  assert.ok(isRevoked({ identity: revoked }, revocations, settings));
});
