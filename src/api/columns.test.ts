// What kubectl prints: ages as kubectl writes them, and the cells of every kind.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ageColumn } from '#api/columns.ts';
import { KINDS } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';

const MADE = '2020-02-29T12:00:00Z';
const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
const Y = 365 * D;

test('ages have two units at most, the smaller one only where it matters', () => {
  const cases: readonly (readonly [number, string])[] = [
    [-2 * S, '<invalid>'],
    [-1.5 * S, '0s'],
    [0, '0s'],
    [119 * S, '119s'],
    [2 * M, '2m'],
    [9 * M + 5 * S, '9m5s'],
    [10 * M, '10m'],
    [179 * M + 59 * S, '179m'],
    [3 * H, '3h'],
    [7 * H + 59 * M, '7h59m'],
    [8 * H + 59 * M, '8h'],
    [47 * H, '47h'],
    [2 * D, '2d'],
    [7 * D + 23 * H, '7d23h'],
    [8 * D + 23 * H, '8d'],
    [2 * Y - D, '729d'],
    [2 * Y, '2y'],
    [7 * Y + 364 * D, '7y364d'],
    [8 * Y + 100 * D, '8y'],
  ];
  const made = { apiVersion: 'v1', kind: 'A', metadata: { name: 'a', creationTimestamp: MADE } };
  for (const [ageMs, expected] of cases) {
    assert.equal(ageColumn.value(made, Date.parse(MADE) + ageMs), expected);
  }
});

describe('rows', () => {
  const now = Date.parse('2026-11-22T03:05:00Z');
  const creationTimestamp = '2026-11-22T03:00:00Z';

  function table(kind: string, fields: object, metadata: object = {}) {
    const definition = KINDS.find((known) => known.kind === kind);
    assert.ok(definition);
    const object = {
      apiVersion: definition.apiVersion,
      kind,
      metadata: { name: 'a', creationTimestamp, ...metadata },
      ...fields,
    } as ApiObject;
    const { columns } = definition;
    return {
      names: columns.map(({ name, priority }) => (priority ? `${name}*` : name)),
      cells: columns.map((column) => column.value(object, now)),
    };
  }

  test('of Namespace, ServiceAccount, ConfigMap and Secret', () => {
    assert.deepEqual(table('Namespace', { status: { phase: 'Active' } }), {
      names: ['Status', 'Age'],
      cells: ['Active', '5m'],
    });
    const deleted = { deletionTimestamp: creationTimestamp };
    assert.deepEqual(table('Namespace', {}, deleted).cells, ['Terminating', '5m']);
    assert.deepEqual(table('ServiceAccount', {}), { names: ['Age'], cells: ['5m'] });
    assert.deepEqual(table('ConfigMap', { data: { x: '' }, binaryData: { y: '' } }), {
      names: ['Data', 'Age'],
      cells: [2, '5m'],
    });
    assert.deepEqual(table('Secret', { type: 'Opaque', data: { x: '' } }), {
      names: ['Type', 'Data', 'Age'],
      cells: ['Opaque', 1, '5m'],
    });
  });

  test('of Service: addresses, ports, and the selector for wide output', () => {
    const spec = {
      type: 'ClusterIP',
      clusterIP: '10.0.0.1',
      ports: [
        { port: 80, protocol: 'TCP' },
        { port: 53, protocol: 'UDP' },
      ],
      selector: { version: 'v1', app: 'web' },
    };
    assert.deepEqual(table('Service', { spec }), {
      names: ['Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age', 'Selector*'],
      cells: ['ClusterIP', '10.0.0.1', '<none>', '80/TCP,53/UDP', '5m', 'app=web,version=v1'],
    });
    const cells = (more: object, status: object = {}) =>
      table('Service', { spec: more, status }).cells;
    assert.deepEqual(cells({}), ['ClusterIP', '<none>', '<none>', '<none>', '5m', '<none>']);
    const name = cells({ type: 'ExternalName', externalName: 'db.example.com' });
    assert.deepEqual(name.slice(0, 3), ['ExternalName', '<none>', 'db.example.com']);
    const waiting = cells({ type: 'LoadBalancer', ports: [{ port: 80, nodePort: 30_080 }] });
    assert.deepEqual(waiting.slice(2, 4), ['<pending>', '80:30080/TCP']);
    const ingress = { loadBalancer: { ingress: [{ ip: '1.2.3.4' }, { hostname: 'lb.example' }] } };
    const given = cells({ type: 'LoadBalancer', externalIPs: ['5.6.7.8'] }, ingress);
    assert.equal(given[2], '1.2.3.4,lb.example,5.6.7.8');
  });

  test('of the kinds of Istio; what is not said is null', () => {
    assert.deepEqual(table('PeerAuthentication', { spec: { mtls: { mode: 'STRICT' } } }), {
      names: ['Mode', 'Age'],
      cells: ['STRICT', '5m'],
    });
    assert.deepEqual(table('PeerAuthentication', {}).cells, [null, '5m']);
    assert.deepEqual(table('AuthorizationPolicy', { spec: { action: 'DENY' } }), {
      names: ['Action', 'Age'],
      cells: ['DENY', '5m'],
    });
    assert.deepEqual(table('DestinationRule', { spec: { host: 'b' } }), {
      names: ['Host', 'Age'],
      cells: ['b', '5m'],
    });
    const spec = { hosts: ['b.com', 'c.com'], location: 'MESH_EXTERNAL' };
    assert.deepEqual(table('ServiceEntry', { spec }), {
      names: ['Hosts', 'Location', 'Resolution', 'Age'],
      cells: ['["b.com","c.com"]', 'MESH_EXTERNAL', null, '5m'],
    });
    assert.deepEqual(table('WorkloadEntry', { spec: { address: '1.2.3.4' } }), {
      names: ['Age', 'Address'],
      cells: ['5m', '1.2.3.4'],
    });
    assert.deepEqual(table('WorkloadGroup', {}), { names: ['Age'], cells: ['5m'] });
  });

  test('of an object that was never stored have no age', () => {
    assert.deepEqual(table('ServiceAccount', {}, { creationTimestamp: undefined }).cells, [
      '<unknown>',
    ]);
  });
});
