import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changesBetween } from '#cli/matrix/matrix-changes.ts';
import { filteredRows, grantsOf, type MatrixFilter, reachWords } from '#cli/matrix/matrix-rows.ts';
import { type MatrixRow, matrixOf } from '#policy/decide/matrix.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const SERVICES = ['a', 'b'].flatMap((name) =>
  serviceObjects('shop', name, [{ name: 'http', port: 80 }]),
);

function rowsOf(yaml: string): readonly MatrixRow[] {
  const groups = ['a', 'b'].map(
    (name) => `---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: ${name}, namespace: shop}
spec: {metadata: {labels: {app: ${name}}}, template: {serviceAccount: ${name}, ports: {http: 80}}}
`,
  );
  const objects = objectsOf(groups.join('') + yaml).filter(Boolean);
  return matrixOf(testMesh([...SERVICES, ...objects]).model.snapshot());
}

/** Who reaches what of the service `a`. */
function reachOfA(yaml: string): Readonly<Record<string, string>> {
  const row = rowsOf(yaml).find(({ to }) => to === 'shop/a:80');
  return Object.fromEntries(
    [...(row?.from ?? [])].map(([name, reach]) => [name, reachWords(reach)]),
  );
}

function policy(name: string, spec: string): string {
  const head = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n';
  return `---\n${head}metadata: {name: ${name}, namespace: shop}\nspec: ${spec}\n`;
}

const B = '{source: {principals: ["cluster.local/ns/shop/sa/b"]}}';
const STRICT = `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
`;

describe('who may talk to whom', () => {
  it('is everybody where no policy is', () => {
    const everything = 'everything';
    assert.deepEqual(reachOfA(''), {
      'shop/a': everything,
      'shop/b': everything,
      outside: everything,
    });
  });

  it('is nobody from outside where mutual TLS is compulsory', () => {
    const { outside, 'shop/b': b } = reachOfA(STRICT);
    assert.deepEqual([outside, b], ['nothing', 'everything']);
  });

  it('is who is on the list', () => {
    const yaml = policy('b', `{rules: [{from: [${B}]}]}`);
    const expected = { 'shop/a': 'nothing', 'shop/b': 'everything', outside: 'nothing' };
    assert.deepEqual(reachOfA(yaml), expected);
  });

  it('depends on the request where a rule does', () => {
    const rule = `{from: [${B}], to: [{operation: {methods: [GET], paths: [/x*]}}]}`;
    assert.equal(reachOfA(policy('b', `{rules: [${rule}]}`))['shop/b'], 'GET /x*');
    assert.equal(reachOfA(policy('b', `{rules: [${rule}]}`))['shop/a'], 'nothing');
  });

  it('is less what is denied', () => {
    const deny = policy('d', '{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}');
    assert.equal(reachOfA(deny)['shop/b'], 'everything, except /admin');
    const all = policy('d', `{action: DENY, rules: [{from: [${B}]}]}`);
    assert.deepEqual([reachOfA(all)['shop/b'], reachOfA(all)['shop/a']], ['nothing', 'everything']);
  });

  it('is everybody where no proxy is beside the workload', () => {
    const legacy = `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: legacy, namespace: shop}
spec: {address: 10.0.0.5, labels: {app: a}, ports: {http: 80}}
`;
    assert.equal(reachOfA(legacy + policy('nothing', '{}')).outside, 'everything');
    assert.equal(reachOfA(policy('nothing', '{}')).outside, 'nothing');
  });

  it('asks for a token where one is needed', () => {
    const tokens = `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: shop}
spec: {jwtRules: [{issuer: https://i.example, presence: REQUIRED}]}
`;
    assert.equal(reachOfA(tokens)['shop/b'], 'everything, except what comes without a token');
  });
});

describe('a matrix', () => {
  it('says everybody in place of a list of all', () => {
    const grants = grantsOf(rowsOf(''), false);
    assert.deepEqual(
      grants.map(({ to, from }) => [to, from]),
      [
        ['shop/a:80', ['everybody']],
        ['shop/b:80', ['everybody']],
      ],
    );
    const strict = grantsOf(rowsOf(STRICT), false).map(({ from }) => from);
    assert.deepEqual(strict, [['every workload'], ['every workload']]);
  });

  it('leaves out who may ask for nothing, unless it is asked for', () => {
    const rows = rowsOf(policy('b', `{rules: [{from: [${B}]}]}`));
    assert.ok(grantsOf(rows, false).every(({ what }) => what !== 'nothing'));
    assert.ok(grantsOf(rows, true).some(({ what }) => what === 'nothing'));
  });

  it('is told of one caller or service only', () => {
    const named = (filter: MatrixFilter) =>
      grantsOf(filteredRows(rowsOf(''), filter), false).map(({ to, from }) => [to, ...from]);
    assert.deepEqual(named({ from: 'shop/b', to: 'shop/a' }), [['shop/a:80', 'shop/b']]);
    assert.deepEqual(named({ from: 'outside', to: 'shop/b' }), [['shop/b:80', 'outside']]);
    assert.deepEqual(named({ from: 'shop', to: 'shop/a:80' }), [['shop/a:80', 'shop/a', 'shop/b']]);
    assert.deepEqual(named({ to: 'sho' }), []);
  });

  it('is compared with another version', () => {
    const before = rowsOf(policy('b', `{rules: [{from: [${B}]}]}`));
    const after = rowsOf(
      policy('b', `{rules: [{from: [${B}], to: [{operation: {methods: [GET]}}]}]}`),
    );
    const change = { from: ['shop/b'], before: 'everything', after: 'GET' };
    assert.deepEqual(changesBetween(before, after), [
      { to: 'shop/a:80', ...change },
      { to: 'shop/b:80', ...change },
    ]);
    assert.deepEqual(changesBetween(before, before), []);
  });
});

describe('who comes in through a gateway', () => {
  const gateway = (tls = '') => `---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: gate, namespace: edge}
spec: {metadata: {labels: {app: gate}}, template: {serviceAccount: gate}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  selector: {app: gate}
  servers: [{port: {number: 443, name: s, protocol: HTTP${tls === '' ? '' : 'S'}}, hosts: [x.example]${tls}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
  hosts: [x.example]
  gateways: [edge/front]
  http: [{match: [{uri: {prefix: /x}, method: {exact: GET}}], route: [{destination: {host: a}}]}]
`;
  const THROUGH = 'outside through edge/front';
  const atGateway = (spec: string) => policy('g', spec).replace('shop', 'edge');
  const tls = (mode: string) => gateway(`, tls: {mode: ${mode}, credentialName: c}`);

  it('gets what its routes lead, and both let in', () => {
    const deny = atGateway('{action: DENY, rules: [{to: [{operation: {paths: [/x/no]}}]}]}');
    const allow = policy('s', '{rules: [{to: [{operation: {paths: [/x/1]}}]}]}');
    assert.equal(reachOfA(gateway())[THROUGH], 'GET x.example/x*');
    assert.equal(
      reachOfA(gateway() + deny + allow)[THROUGH],
      'GET x.example/x*, of which the service lets in /x/1, except /x/no',
    );
    const rows = rowsOf(gateway());
    assert.equal(rows.find(({ to }) => to === 'shop/b:80')?.from.has(THROUGH), false);
  });

  it('gets nothing that either denies, or that its listener does not take', () => {
    const gate = '{source: {principals: ["cluster.local/ns/edge/sa/gate"]}}';
    const only = policy('s', `{rules: [{from: [${gate}]}]}`);
    assert.equal(reachOfA(gateway() + only)[THROUGH], 'GET x.example/x*');
    assert.equal(reachOfA(gateway() + policy('s', '{}'))[THROUGH], 'nothing');
    assert.equal(reachOfA(gateway() + atGateway('{}'))[THROUGH], 'nothing');
    assert.equal(reachOfA(tls('ISTIO_MUTUAL'))[THROUGH], 'nothing');
    const mutual = 'GET x.example/x*, except what comes without a certificate';
    assert.equal(reachOfA(tls('MUTUAL'))[THROUGH], mutual);
    assert.equal(reachOfA(tls('SIMPLE'))[THROUGH], 'GET x.example/x*');
  });

  it('is told beside everybody, and found by its gateway', () => {
    const grants = grantsOf(rowsOf(gateway()), false).filter(({ to }) => to === 'shop/a:80');
    assert.deepEqual(
      grants.map(({ from }) => from),
      [['everybody'], [THROUGH]],
    );
    const [row] = filteredRows(rowsOf(gateway()), { from: 'outside', to: 'shop/a' });
    assert.deepEqual([...(row?.from.keys() ?? [])], ['outside', THROUGH]);
  });
});
