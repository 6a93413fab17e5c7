// What stands before one gateway decides what is believed there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { A_HOST, onlySaid, policyOf } from '../../../test/kit/gateway-calls.ts';
import { groupYaml } from '../../../test/kit/mesh-objects.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

const DENY = policyOf(
  'edge',
  '{ action: DENY, rules: [{ from: [{ source: { remoteIpBlocks: [9.9.9.9] } }] }] }',
);

/** The group of the gateway, with a configuration of its proxies. */
function groupWith(config: string) {
  const objects = objectsOf(groupYaml('edge', 'gate'));
  return objects.map((object) => {
    const { spec } = object as { spec?: { metadata?: object } };
    if (object.kind !== 'WorkloadGroup') return object;
    const annotations = { 'proxy.istio.io/config': config };
    return { ...object, spec: { ...spec, metadata: { ...spec?.metadata, annotations } } };
  });
}

const told = { ...A_HOST, headers: { 'X-Forwarded-For': '9.9.9.9, 1.1.1.1' } };
const answer = (config: string, trustedProxies: number): string =>
  onlySaid(told, {
    objects: [...DENY, ...groupWith(config)],
    settings: { gatewayTopology: { trustedProxies, proxyProtocol: false } },
  })?.line ?? '';

test('a gateway believes as many proxies as its object says', () => {
  assert.match(answer('gatewayTopology: { numTrustedProxies: 2 }', 0), /^deny/);
  assert.match(answer('gatewayTopology: { numTrustedProxies: 1 }', 2), /^allow/);
  assert.match(answer('gatewayTopology: {}', 2), /^allow/);
});

test('a gateway whose object says nothing of it believes as many as the mesh says', () => {
  assert.match(answer('', 2), /^deny/);
  assert.match(answer('concurrency: 2', 0), /^allow/);
  assert.match(answer('gatewayTopology: { numTrustedProxies: -1 }', 2), /^deny/);
});
