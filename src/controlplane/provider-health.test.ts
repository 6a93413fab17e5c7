// Proves that the status of a CUSTOM policy says which workloads got no answer from its provider.
import { test } from 'node:test';
import { EnforcedMesh } from '../../test/kit/enforced-mesh.ts';

const KEY = { kind: 'authorizationpolicies.security.istio.io', namespace: 'ns', name: 'asking' };
const policy = (app: string, provider = 'check'): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: asking, namespace: ns }
spec:
  selector: { matchLabels: { app: ${app} } }
  action: CUSTOM
  provider: { name: ${provider} }
  rules: [{}]
`;

test('a provider that did not answer is told of on the policies that ask it, until it does', async (t) => {
  const world = new EnforcedMesh();
  await world.start(t);
  await world.connect('web');
  await world.put(policy('web'));
  await world.says(KEY, 'Findings', /no extension provider "check"/);
  world.tell('web', 'check', 'failing');
  await world.says(KEY, 'Findings', /^True Error: .*check gave no answer when web\.ns asked last/);
  world.tell('web', 'check', 'flaky');
  await world.says(KEY, 'Findings', /gave no answer to some questions of web\.ns/);
  world.tell('web', 'check', 'answering');
  await world.says(KEY, 'Findings', /"check": requests that match are denied \([^)]*\)$/);
});

test('nothing is told of providers that others ask, or of workloads that a policy is not for', async (t) => {
  const world = new EnforcedMesh();
  await world.start(t);
  await world.connect('web');
  await world.connect('other');
  await world.put(policy('web', 'another'));
  world.tell('web', 'check', 'failing');
  world.tell('other', 'another', 'failing');
  await world.says(KEY, 'Findings', /"another": requests that match are denied \([^)]*\)$/);
});
