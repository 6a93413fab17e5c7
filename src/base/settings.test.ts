import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import { flagOf, resolveSettings } from '#base/settings.ts';

function refuses(sources: Parameters<typeof resolveSettings>[0], pattern: RegExp): void {
  assert.throws(
    () => resolveSettings(sources),
    (error) => isBulwarkError(error, 'SETTINGS_INVALID') && pattern.test(error.message),
  );
}

describe('settings', () => {
  it('have their defaults when nothing is given', () => {
    const settings = resolveSettings({ env: {} });
    assert.equal(settings.trustDomain, 'cluster.local');
    assert.equal(settings.workloadCertTtl, 24 * 3_600_000);
    assert.equal(settings.data, undefined);
    assert.deepEqual(settings.tokenAudiences, ['istio-ca']);
  });

  it('are taken from flag, then environment, then file', () => {
    const file = { trustDomain: 'from.file' };
    const env = { TRUST_DOMAIN: 'from.env' };
    assert.equal(resolveSettings({ file }).trustDomain, 'from.file');
    assert.equal(resolveSettings({ file, env }).trustDomain, 'from.env');
    const flags = { trustDomain: 'from.flag' };
    assert.equal(resolveSettings({ file, env, flags }).trustDomain, 'from.flag');
  });

  it('prefer our environment name to the one of Istio', () => {
    const env = { TRUST_DOMAIN: 'istio.name', BULWARK_TRUST_DOMAIN: 'our.name' };
    assert.equal(resolveSettings({ env }).trustDomain, 'our.name');
  });

  it('read relative paths from the directory given', () => {
    const settings = resolveSettings({ flags: { data: 'x' }, directory: '/somewhere' });
    assert.equal(settings.data, '/somewhere/x');
  });

  it('refuse a wrong duration, port, number and choice, naming origin and what is accepted', () => {
    refuses({ env: { SECRET_TTL: 'soon' } }, /SECRET_TTL is "soon".*duration/);
    refuses({ flags: { workloadCertTtl: '1s' } }, /--workload-cert-ttl.*from 5s to 2160h/);
    refuses({ flags: { securePort: '65536' } }, /--secure-port.*0 to 65535/);
    refuses({ flags: { securePort: '80.5' } }, /--secure-port/);
    refuses({ flags: { envoyConcurrency: '' } }, /--envoy-concurrency.*whole number/);
    refuses({ file: { logLevel: 'loud' } }, /"logLevel" in the settings file is "loud".*debug/);
    refuses(
      { flags: { meshTlsCurves: 'X25519,P-1' } },
      /--mesh-tls-curves is "P-1".*X25519, P-256/,
    );
  });

  it('take a list of choices, item by item', () => {
    const { meshTlsCurves } = resolveSettings({ flags: { meshTlsCurves: 'X25519, P-256' } });
    assert.deepEqual(meshTlsCurves, ['X25519', 'P-256']);
  });

  it('refuse an unknown name in the file and suggest the near one', () => {
    refuses({ file: { 'trust-domain': 'x' } }, /"trust-domain".*did you mean "trustDomain"/);
    refuses({ file: ['x'] }, /must be a map/);
  });

  it('have a kebab-case flag', () => {
    assert.equal(flagOf('discoveryAddress'), '--discovery-address');
  });
});
