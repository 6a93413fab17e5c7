// The kind table: every look-up finds its kind, no name means two, and every field is explained.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GATEWAY_API } from '#api/kind.ts';
import { KINDS, kindById, kindOf } from '#api/kinds.ts';
import type { Schema } from '#api/schema.ts';

describe('look-ups', () => {
  test('by id and by object find the same kind, in every version', () => {
    for (const kind of KINDS) {
      assert.equal(kindById(kind.id), kind);
      for (const version of kind.versions) {
        const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`;
        assert.equal(kindOf(apiVersion, kind.kind), kind);
      }
    }
  });

  test('find nothing for what is not there', () => {
    assert.equal(kindById('toasters'), undefined);
    assert.equal(kindOf('v2', 'Service'), undefined);
    assert.equal(kindOf('networking.istio.io/v1', 'Service'), undefined);
  });
});

describe('the table', () => {
  test('has the short names that users type', () => {
    const short = KINDS.flatMap(({ kind, shortNames }) => shortNames.map((name) => [name, kind]));
    assert.deepEqual(Object.fromEntries(short), {
      ns: 'Namespace',
      sa: 'ServiceAccount',
      cm: 'ConfigMap',
      no: 'Node',
      po: 'Pod',
      svc: 'Service',
      se: 'ServiceEntry',
      dr: 'DestinationRule',
      vs: 'VirtualService',
      gw: 'Gateway',
      gtw: 'Gateway',
      gc: 'GatewayClass',
      we: 'WorkloadEntry',
      wg: 'WorkloadGroup',
      pa: 'PeerAuthentication',
      ra: 'RequestAuthentication',
      ap: 'AuthorizationPolicy',
      crev: 'CertificateRevocation',
      tb: 'TrustBundle',
    });
  });

  test('gives no name to two kinds, but Gateways of both APIs', () => {
    const names = KINDS.flatMap(({ plural, singular, shortNames }) => [
      plural,
      singular,
      ...shortNames,
    ]);
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    assert.deepEqual(twice, ['gateways', 'gateway']);
  });

  test('puts the kinds of Istio into their categories, and only them behind definitions', () => {
    for (const { group, categories, custom } of KINDS) {
      if (!custom) assert.ok(group === '' || group.endsWith('.k8s.io'), group);
      else if (group === GATEWAY_API) assert.deepEqual(categories, ['gateway-api']);
      else if (group === 'bulwark.mesh') assert.deepEqual(categories, ['bulwark']);
      else assert.deepEqual(categories, ['istio-io', group.replaceAll('.', '-')]);
    }
  });

  test('explains every field, and keys of lists are fields of their items', () => {
    const visit = (schema: Schema, path: string): void => {
      assert.match(schema.description, /^.{6,}[.…]$/s, path);
      for (const name of schema.required ?? []) {
        assert.ok(Object.hasOwn(schema.properties ?? {}, name), `${path}.${name}`);
      }
      for (const key of schema['x-kubernetes-list-map-keys'] ?? []) {
        assert.ok(Object.hasOwn(schema.items?.properties ?? {}, key), `${path}[].${key}`);
      }
      for (const [name, member] of Object.entries(schema.properties ?? {})) {
        visit(member, `${path}.${name}`);
      }
      if (schema.items) visit(schema.items, `${path}[]`);
      if (schema.additionalProperties) visit(schema.additionalProperties, `${path}[*]`);
    };
    for (const { kind, schema } of KINDS) visit(schema, kind);
  });

  test('is plain JSON, so that it can be served', () => {
    for (const { schema } of KINDS) assert.deepEqual(JSON.parse(JSON.stringify(schema)), schema);
  });
});

describe('defaults', () => {
  const filled = (kind: string, fields: object): object => {
    const definition = KINDS.find((known) => known.kind === kind);
    assert.ok(definition);
    const object = { apiVersion: definition.apiVersion, kind, metadata: { name: 'a' }, ...fields };
    const result = definition.defaults?.(object) ?? object;
    const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = result;
    return rest;
  };

  test('of Service are those of Kubernetes', () => {
    assert.deepEqual(filled('Service', { spec: { ports: [{ port: 80 }] } }), {
      spec: {
        internalTrafficPolicy: 'Cluster',
        ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
        type: 'ClusterIP',
        sessionAffinity: 'None',
      },
    });
    const ports = [{ port: 53, protocol: 'UDP', targetPort: 'dns' }];
    assert.deepEqual(filled('Service', { spec: { type: 'LoadBalancer', ports } }), {
      spec: {
        internalTrafficPolicy: 'Cluster',
        externalTrafficPolicy: 'Cluster',
        allocateLoadBalancerNodePorts: true,
        type: 'LoadBalancer',
        ports,
        sessionAffinity: 'None',
      },
    });
    assert.deepEqual(filled('Service', { spec: { type: 'ExternalName', externalName: 'a.b' } }), {
      spec: { type: 'ExternalName', externalName: 'a.b', sessionAffinity: 'None' },
    });
    const sticky = filled('Service', { spec: { sessionAffinity: 'ClientIP' } });
    assert.deepEqual(
      (sticky as { spec: { sessionAffinityConfig: object } }).spec.sessionAffinityConfig,
      {
        clientIP: { timeoutSeconds: 10_800 },
      },
    );
  });

  test('of Service keep what the user says', () => {
    const spec = {
      internalTrafficPolicy: 'Local',
      type: 'NodePort',
      externalTrafficPolicy: 'Local',
    };
    assert.deepEqual(filled('Service', { spec }), { spec: { ...spec, sessionAffinity: 'None' } });
  });

  test('of Secret: the type, and text is stored as data', () => {
    assert.deepEqual(filled('Secret', {}), { type: 'Opaque' });
    const stored = { type: 'Opaque', data: { a: 'eA==', b: 'aGk=' } };
    const given = { data: { a: 'eA==', b: 'bm8=' }, stringData: { b: 'hi' } };
    assert.deepEqual(filled('Secret', given), stored);
    assert.deepEqual(filled('Secret', stored), stored);
  });

  test('of Namespace: the label by which selectors find it', () => {
    const namespace = kindById('namespaces');
    const filledOne = namespace?.defaults?.({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'a', labels: { b: 'c' } },
    });
    assert.deepEqual(filledOne?.metadata.labels, { b: 'c', 'kubernetes.io/metadata.name': 'a' });
  });

  test('of ServiceEntry: outside the mesh, not resolved', () => {
    assert.deepEqual(filled('ServiceEntry', { spec: { hosts: ['a.com'] } }), {
      spec: { location: 'MESH_EXTERNAL', resolution: 'NONE', hosts: ['a.com'] },
    });
    const spec = { hosts: ['a.com'], location: 'MESH_INTERNAL', resolution: 'DNS' };
    assert.deepEqual(filled('ServiceEntry', { spec }), { spec });
  });

  test('policies stay as they are: an empty spec means something', () => {
    assert.deepEqual(filled('AuthorizationPolicy', { spec: {} }), { spec: {} });
    assert.deepEqual(filled('PeerAuthentication', {}), {});
  });
});
