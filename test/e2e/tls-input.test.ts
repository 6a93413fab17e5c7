// Whatever we accept in a DestinationRule about TLS, Envoy accepts, too: one object of one user
// must not stand in the way of the configuration of others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateObject } from '#api/validate.ts';
import { testMesh, testProxy } from '../kit/mesh.ts';
import { validateWithEnvoy } from '../kit/validate-with-envoy.ts';

const LONG = 'x'.repeat(300);
const ODD: readonly Readonly<Record<string, unknown>>[] = [
  { mode: 'SIMPLE' },
  { mode: 'SIMPLE', sni: '' },
  { mode: 'SIMPLE', sni: LONG },
  { mode: 'SIMPLE', sni: 'with space' },
  { mode: 'SIMPLE', sni: 'ü.example' },
  { mode: 'SIMPLE', sni: 'a\u0000b' },
  { mode: 'SIMPLE', sni: '10.0.0.1' },
  { mode: 'SIMPLE', subjectAltNames: [''] },
  { mode: 'SIMPLE', subjectAltNames: [LONG, '*.example.com', 'spiffe://', '::1', 'a\u0000b'] },
  { mode: 'SIMPLE', caCertificates: 'relative' },
  { mode: 'SIMPLE', caCertificates: `/${LONG}\n` },
  { mode: 'SIMPLE', caCertificates: '/a~b' },
  { mode: 'MUTUAL', clientCertificate: '/a~b', privateKey: '/c~d' },
  { mode: 'MUTUAL', clientCertificate: ' ', privateKey: ' ' },
  { mode: 'MUTUAL', credentialName: LONG },
  { mode: 'SIMPLE', credentialName: '../other/secret' },
  { mode: 'SIMPLE', credentialName: 'sds://elsewhere' },
  { mode: 'ISTIO_MUTUAL', sni: LONG },
  { mode: 'ISTIO_MUTUAL', sni: 'ü', subjectAltNames: ['', LONG, 'a b'] },
  { mode: 'DISABLE', sni: LONG, caCertificates: '\u0000' },
];

const metadata = (position: number) => ({ name: `odd-${position}`, namespace: 'default' });

test('what is accepted of TLS settings is valid to Envoy', { timeout: 240_000 }, async (t) => {
  const objects = ODD.flatMap((tls, position) => {
    const host = `odd-${position}.test`;
    const rule = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: metadata(position),
      spec: { host, trafficPolicy: { tls } },
    };
    const refused = validateObject(rule).diagnostics.some(({ severity }) => severity === 'error');
    const spec = { hosts: [host], ports: [{ number: 80, name: 'http' }], resolution: 'DNS' };
    const kind = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry' };
    return refused ? [] : [rule, { ...kind, metadata: metadata(position), spec }];
  });
  assert.ok(objects.length > ODD.length, 'more than half of them are accepted');
  const mesh = testMesh(objects);
  await validateWithEnvoy(t, mesh.generator.snapshotFor(testProxy(), mesh.model.snapshot()));
});
