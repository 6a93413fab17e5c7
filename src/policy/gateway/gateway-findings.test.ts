// What is told about Gateways and routes that do not count.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '#api/object.ts';
import { EVERY_READER } from '#model/secret-readers.ts';
import { gatewayFindings } from '#policy/gateway/gateway-findings.ts';
import { secretObject } from '../../../test/kit/https-app.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf } from '../../../test/kit/objects.ts';
import { testAuthority } from '../../../test/kit/test-authority.ts';

const ENTRY = `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: g, namespace: edge }
spec: { address: 10.0.0.1, labels: { app: front }, serviceAccount: app }
---`;
const gateway = (servers: string, name = 'g', second = 0) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: edge, creationTimestamp: '2026-01-01T00:00:0${second}Z' }
spec: { selector: { app: front }, servers: [${servers}] }
---`;
const service = (spec: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: shop }
spec: { http: [{ route: [{ destination: { host: b } }] }], ${spec} }
---`;
const http = (hosts: string) =>
  `{ port: { number: 80, name: h, protocol: HTTP }, hosts: [${hosts}] }`;

function found(
  text: string,
  more: readonly ApiObject[] = [],
  secretReaders = EVERY_READER,
): readonly string[] {
  const objects = objectsOf(`${ENTRY}${text}`.replace(/---$/, ''));
  const lines: string[] = [];
  const { model } = testMesh([...objects, ...more]);
  model.useSecretReaders(secretReaders);
  gatewayFindings(model.snapshot(), (object, { field, message }) =>
    lines.push(`${object.kind} ${object.metadata.name} ${field}: ${message}`),
  );
  return lines;
}

test('a host for everybody is told, hosts with a name or a namespace are not', () => {
  assert.match(
    found(gateway(http("'*'"))).join(),
    /^Gateway g spec.servers\[0\].hosts\[0\]: every/,
  );
  const hosts = "foo.example.com, default/bar.example.com, 'route-namespace/*'";
  assert.deepEqual(found(gateway(http(hosts))), []);
});

test('routes that no gateway takes are told, with the reason', () => {
  const front = gateway(http('shop/a.com, other/b.com'));
  const bound = (fields: string) => found(`${front}${service(fields)}`).join();
  assert.equal(bound('hosts: [a.com], gateways: [edge/g, mesh]'), '');
  assert.match(bound('hosts: [a.com], gateways: [g]'), /there is no Gateway shop\/g/);
  assert.match(bound('hosts: [b.com], gateways: [edge/g]'), /no server of Gateway edge\/g/);
  assert.match(bound("hosts: [a.com], gateways: [edge/g], exportTo: ['.']"), /exportTo/);
});

test('a server without its Secret, or without its port, is told', () => {
  const tls = (mode: string) =>
    gateway(
      `{ port: { number: 443, name: s, protocol: HTTPS }, hosts: [a.com], tls: { mode: ${mode}, credentialName: c } }`,
    );
  const authority = testAuthority();
  const { certificate: cert, privateKey: key } = authority.issue({ dnsNames: ['a.com'] });
  const values = { cert, key };
  assert.match(
    found(tls('SIMPLE')).join(),
    /tls: namespace edge has no Secret c with a certificate/,
  );
  const foreign = [secretObject('shop', 'c', values)];
  assert.match(found(tls('SIMPLE'), foreign).join(), /no Secret c/);
  const own = [secretObject('edge', 'c', values)];
  assert.deepEqual(found(tls('SIMPLE'), own), []);
  assert.match(found(tls('MUTUAL'), own).join(), /no Secret c with authorities/);
  const whole = [secretObject('edge', 'c', { ...values, cacert: authority.root })];
  assert.deepEqual(found(tls('MUTUAL'), whole), []);
  const unread = found(tls('SIMPLE'), whole, { mayRead: () => false }).join();
  assert.match(unread, /service account app may not read Secret c: no role lets it/);
  const tcp = '{ port: { number: 80, name: t, protocol: TCP }, hosts: [a.com] }';
  const both = `${gateway(http('a.com'))}${gateway(tcp, 'h', 1)}`;
  assert.match(found(both).join(), /^Gateway h spec.servers\[0\].port: is not served by edge\/g/);
});
