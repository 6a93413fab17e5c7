import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayReferences, isReferenced, referenceFindings } from '#policy/target-references.ts';

const GROUP = 'gateway.networking.k8s.io';
const reference = (kind: string, name: string, more: object = {}) => ({
  ...{ group: GROUP, kind, name },
  ...more,
});
/** A gateway of that Gateway and class. */
const gateway = (namespace: string, name = 'front', ofClass = 'istio') => ({
  namespace,
  labels: { [`${GROUP}/gateway-name`]: name, [`${GROUP}/gateway-class-name`]: ofClass },
});
const meant = (
  target: ReturnType<typeof reference>,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  policy = { namespace: 'edge', isRoot: false },
): boolean => {
  const references = gatewayReferences({ targetRefs: [target] }) ?? assert.fail('none');
  return isReferenced(references, workload, policy);
};

describe('a policy that is attached to a Gateway', () => {
  const front = reference('Gateway', 'front');

  it('means that of its own namespace, also when it is of the root namespace', () => {
    assert.equal(meant(front, gateway('edge')), true);
    assert.equal(meant(front, gateway('other')), false);
    const root = { namespace: 'istio-system', isRoot: true };
    assert.equal(meant(front, gateway('istio-system'), root), true);
    assert.equal(meant(front, gateway('edge'), root), false);
  });

  it('means no other Gateway, and no workload that is none', () => {
    assert.equal(meant(front, gateway('edge', 'back')), false);
    assert.equal(meant(front, { namespace: 'edge', labels: { app: 'front' } }), false);
  });

  it('means none of another namespace or API group, whatever it says', () => {
    assert.equal(
      meant(reference('Gateway', 'front', { namespace: 'edge' }), gateway('edge')),
      false,
    );
    const istios = reference('Gateway', 'front', { group: 'networking.istio.io' });
    assert.equal(meant(istios, gateway('edge')), false);
  });
});

it('a GatewayClass is meant by policies of the root namespace alone, which is said', () => {
  const ofClass = reference('GatewayClass', 'istio');
  const root = { namespace: 'istio-system', isRoot: true };
  assert.equal(meant(ofClass, gateway('edge'), root), true);
  assert.equal(meant(ofClass, gateway('edge', 'front', 'other'), root), false);
  assert.equal(meant(ofClass, gateway('edge')), false);
  assert.deepEqual(referenceFindings({ targetRefs: [ofClass] }, true), []);
  const [finding] = referenceFindings({ targetRefs: [ofClass] }, false);
  assert.match(finding?.message ?? '', /has no effect/);
});

it('a reference to a Service means nothing, which is said; without references labels count', () => {
  const service = { group: '', kind: 'Service', name: 'web' };
  assert.equal(meant(service, gateway('edge', 'web')), false);
  const [finding] = referenceFindings({ targetRef: service }, false);
  assert.equal(finding?.field, 'spec.targetRef');
  assert.equal(gatewayReferences({}), undefined);
});
