import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { EVERY_READER, type SecretReader } from '#model/secret-readers.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { secretObject } from '../../../test/kit/https-app.ts';
import { testMesh, testProxy } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';
import { snapshotJson } from '../../../test/kit/xds-json.ts';

const CLUSTER = 'outbound|80||api.example.com';
const authority = testAuthority('partner');
const good = authority.issue({ dnsNames: ['caller'] });

const OBJECTS = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api, namespace: web }
spec:
  hosts: [api.example.com]
  ports: [{ number: 80, name: http }]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: api, namespace: web }
spec:
  host: api.example.com
  workloadSelector: { matchLabels: { app: caller } }
  trafficPolicy: { tls: { mode: MUTUAL, credentialName: partner } }
`);

const secret = (namespace: string, values: Readonly<Record<string, string>>, name = 'partner') =>
  secretObject(namespace, name, values);

const WHOLE = { cert: good.certificate, key: good.privateKey, cacert: authority.root };

/** What makes a proxy one with these labels. */
function entry(namespace: string, labels: Readonly<Record<string, string>>): ApiObject {
  const object = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: 'app-1', namespace },
    spec: { address: '10.0.0.1', labels, serviceAccount: 'app' },
  };
  return object;
}

/** Names of the secrets that a caller gets, and whether its cluster leads anywhere. */
function given(
  objects: readonly ApiObject[],
  labels = { app: 'caller' },
  namespace = 'web',
  secretReaders = EVERY_READER,
) {
  const mesh = testMesh([...OBJECTS, entry(namespace, labels), ...objects]);
  mesh.model.useSecretReaders(secretReaders);
  const proxy = testProxy({ namespace });
  const snapshot = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
  const clusters = snapshotJson(snapshot).cluster as readonly Record<string, unknown>[];
  const cluster = clusters.find(({ name }) => name === CLUSTER);
  return {
    secrets: [...(snapshot.get(TYPE_URL.secret)?.keys() ?? [])].sort(),
    leadsSomewhere: cluster?.cluster_type !== undefined,
    text: JSON.stringify(cluster),
  };
}

const BOTH = ['kubernetes://partner', 'kubernetes://partner-cacert'];

test('a caller that a rule selects gets the Secret of its own namespace, and uses it', () => {
  const { secrets, leadsSomewhere, text } = given([secret('web', WHOLE)]);
  assert.deepEqual(secrets, BOTH);
  assert.ok(leadsSomewhere);
  for (const name of BOTH) assert.ok(text.includes(`"${name}"`), name);
  assert.ok(!text.includes('PRIVATE KEY'), 'the key is in the secret only');
});

test('the names of kubernetes.io/tls do as well, and roots may be in a Secret of their own', () => {
  const tls = { 'tls.crt': good.certificate, 'tls.key': good.privateKey };
  assert.deepEqual(given([secret('web', { ...tls, 'ca.crt': authority.root })]).secrets, BOTH);
  const roots = secret('web', { cacert: authority.root }, 'partner-cacert');
  assert.deepEqual(given([secret('web', tls), roots]).secrets, BOTH);
});

test('nobody gets a Secret of another namespace, and nothing is called without it', () => {
  const { secrets, leadsSomewhere } = given([secret('shop', WHOLE)]);
  assert.deepEqual(secrets, []);
  assert.equal(leadsSomewhere, false);
});

test('a caller gets what its service account may read, and no more', () => {
  const whole = [secret('web', WHOLE), secret('web', { cacert: authority.root }, 'partner-cacert')];
  const asked: string[] = [];
  const by = (...readable: readonly string[]) =>
    given(whole, undefined, undefined, {
      mayRead: ({ namespace, serviceAccount }: SecretReader, name) => {
        asked.push(`${namespace}/${serviceAccount}`);
        return readable.includes(name);
      },
    });
  assert.deepEqual(by('partner', 'partner-cacert').secrets, BOTH);
  assert.deepEqual(by('partner').secrets, BOTH, 'with the authorities beside its key');
  assert.deepEqual(by('partner-cacert').secrets, ['kubernetes://partner-cacert']);
  const none = by('other');
  assert.deepEqual(none.secrets, []);
  assert.equal(none.leadsSomewhere, false);
  assert.deepEqual([...new Set(asked)], ['web/app']);
});

test('a caller that the rule does not select gets nothing', () => {
  assert.deepEqual(given([secret('web', WHOLE)], { app: 'other' }).secrets, []);
  assert.deepEqual(
    given([secret('web', WHOLE), secret('shop', WHOLE)], undefined, 'shop').secrets,
    [],
  );
});

test('labels that only a proxy itself claims give it nothing', () => {
  const labels = { app: 'caller' };
  const secretsOf = (serviceAccount: string, objects: readonly ApiObject[]) => {
    const mesh = testMesh([...OBJECTS, secret('web', WHOLE), ...objects]);
    const proxy = testProxy({ namespace: 'web', serviceAccount, labels });
    const snapshot = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
    return [...(snapshot.get(TYPE_URL.secret)?.keys() ?? [])];
  };
  assert.deepEqual(secretsOf('app', []), []);
  assert.deepEqual(secretsOf('thief', [entry('web', labels)]), [], 'of another account');
  assert.deepEqual(secretsOf('app', [entry('web', labels)]).sort(), BOTH);
});

test('a key of another certificate, and texts that are none, never reach a proxy', () => {
  const other = authority.issue({ dnsNames: ['other'] });
  for (const wrong of [
    { key: other.privateKey },
    { key: 'x' },
    { cert: 'x' },
    { cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
  ]) {
    const { secrets, leadsSomewhere } = given([secret('web', { ...WHOLE, ...wrong })]);
    assert.deepEqual(secrets, ['kubernetes://partner-cacert']);
    assert.equal(leadsSomewhere, false);
  }
  assert.equal(given([secret('web', { ...WHOLE, cacert: 'x' })]).leadsSomewhere, false);
  for (const crl of ['x', authority.crl([]).replace('CRL-----\n', 'CRL-----\nAAAA')]) {
    assert.equal(given([secret('web', { ...WHOLE, crl })]).leadsSomewhere, false);
  }
  assert.ok(given([secret('web', { ...WHOLE, crl: authority.crl([]) })]).leadsSomewhere);
});

test('a change of the Secret changes the secret, not the cluster', () => {
  const mesh = testMesh([...OBJECTS, entry('web', { app: 'caller' }), secret('web', WHOLE)]);
  const proxy = testProxy({ namespace: 'web' });
  const before = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
  const renewed = authority.issue({ dnsNames: ['caller'] });
  mesh.put(secret('web', { ...WHOLE, cert: renewed.certificate, key: renewed.privateKey }));
  const after = mesh.generator.snapshotFor(proxy, mesh.model.snapshot());
  const of = (typeUrl: typeof TYPE_URL.secret | typeof TYPE_URL.cluster, name: string) =>
    [before, after].map((snapshot) => snapshot.get(typeUrl)?.get(name));
  const [old, now] = of(TYPE_URL.secret, 'kubernetes://partner');
  assert.notEqual(old?.version, now?.version);
  const [same, still] = of(TYPE_URL.cluster, CLUSTER);
  assert.equal(same, still);
});
