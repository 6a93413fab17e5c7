import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshSettings } from '#model/mesh-settings.ts';
import { Revocations } from '#model/revocations.ts';
import { RevokedServers } from '#policy/tls/revoked-servers.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';

const id = (account: string, domain = 'cluster.local') =>
  `spiffe://${domain}/ns/shop/sa/${account}`;

function revoked(...specs: readonly object[]): RevokedServers {
  const objects = specs.map((spec, index) => ({
    apiVersion: 'bulwark.mesh/v1alpha1',
    kind: 'CertificateRevocation',
    metadata: { name: `r${index}`, uid: `u${index}` },
    spec,
  }));
  const settings = meshSettings(parseTrustDomain('cluster.local'), {
    trustDomainAliases: [parseTrustDomain('old.example')],
  });
  return new RevokedServers(Revocations.none().next(objects), settings);
}

test('a revoked identity is no server any more, under no name of the mesh', () => {
  const servers = revoked({ identity: id('a') });
  const names = { ids: [id('a'), id('a', 'old.example'), id('b')], idPrefixes: [] };
  const narrowed = servers.narrow(names);
  assert.deepEqual(narrowed.names.ids, [id('b')]);
  assert.equal(narrowed.revokedBy, 'u0');
  assert.deepEqual(servers.narrow({ ids: [id('b')], idPrefixes: [] }), {
    names: { ids: [id('b')], idPrefixes: [] },
    revokedBy: '',
  });
});

test('where nobody is left, nobody will do: no names at all would mean everybody', () => {
  const servers = revoked({ identity: id('a') });
  const { names } = servers.narrow({ ids: [id('a')], idPrefixes: [] });
  assert.deepEqual(names.ids, ['spiffe://revoked.invalid/']);
  assert.deepEqual(servers.narrow({ ids: [], idPrefixes: [] }).names.ids, []);
});

test('a revoked certificate leaves its identity, and has connections opened anew', () => {
  const servers = revoked({ serial: 'ab', issuedTo: id('a') }, { serial: 'cd' });
  const names = { ids: [id('a')], idPrefixes: [] };
  assert.deepEqual(servers.narrow(names), { names, revokedBy: 'u0' });
  const prefixes = { ids: [], idPrefixes: ['spiffe://cluster.local/ns/shop/sa/'] };
  assert.deepEqual(servers.narrow(prefixes), { names: prefixes, revokedBy: 'u0' });
  const others = { ids: [], idPrefixes: ['spiffe://cluster.local/ns/other/sa/'] };
  assert.equal(servers.narrow(others).revokedBy, '');
});
