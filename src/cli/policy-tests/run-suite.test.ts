import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readDocuments } from '#api/documents.ts';
import type { LiveAnswer } from '#cli/policy-tests/live-callers.ts';
import { readSuite } from '#cli/policy-tests/read-suite.ts';
import { coverageOf, REPORTS } from '#cli/policy-tests/report.ts';
import { runSuite } from '#cli/policy-tests/run-suite.ts';
import { Decider } from '#policy/decide/decider.ts';
import { testMesh } from '../../../test/kit/mesh.ts';
import { groupObject, objectsOf, serviceObjects } from '../../../test/kit/objects.ts';

const MESH = testMesh([
  ...serviceObjects('shop', 'web', [{ name: 'http', port: 80 }]),
  ...objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: gets, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [PUT]}}]}]}
`),
]).model.snapshot();

const AT_GATEWAY = testMesh([
  ...serviceObjects('shop', 'web', [{ name: 'http', port: 80 }]),
  ...objectsOf(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: edge}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/no]}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  selector: {app: gate}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example]}]
`),
  groupObject('edge', 'gate'),
]).model.snapshot();

const HEAD = 'apiVersion: bulwark.mesh/v1alpha1\nkind: PolicyTest\n';

function suiteOf(tests: string) {
  const [document] = readDocuments(`${HEAD}tests:\n${tests}`, { source: 'dir/a,b.yaml' }).documents;
  assert.ok(document);
  return readSuite(document);
}

function resultOf(tests: string, live?: LiveAnswer, snapshot = MESH) {
  const { suite, diagnostics } = suiteOf(tests);
  assert.ok(suite, JSON.stringify(diagnostics));
  const mesh = { snapshot, placeOf: () => ({ file: 'dir/p.yaml', line: 7 }) };
  const send = live && { send: () => Promise.resolve(live) };
  return runSuite(suite, { mesh, decider: new Decider(snapshot), nowMs: 0, live: send });
}

const RIGHT = '  - {name: may look, from: outside, to: shop/web, expect: allow}\n';
const WRONG = '  - {name: may <look>, from: outside, to: shop/web, expect: deny}\n';

describe('a case', () => {
  it('passes when the decision is as expected', async () => {
    assert.deepEqual(
      (await resultOf(RIGHT)).cases.map(({ failures }) => failures),
      [[]],
    );
  });

  it('may come in through a gateway, and be decided there', async () => {
    const run = (text: string) => resultOf(text, undefined, AT_GATEWAY);
    const call = 'from: outside, through: edge/front, to: shop/web, host: a.example, path: /no';
    const tests = `  - {name: x, ${call}, expect: deny, because: p}\n`;
    assert.deepEqual((await run(tests)).cases[0]?.failures, []);
    const [failure = ''] = (await run(tests.replace('deny', 'allow'))).cases[0]?.failures ?? [];
    assert.match(failure, /^outside → edge\/front:80 GET a.example\/no: .*at edge\/front/);
    const { exercised } = await run(tests);
    assert.deepEqual([...exercised], ['ns[edge]-policy[p]-rule[0]']);
    const nobody = tests.replace('edge/front', 'edge/none');
    assert.match((await run(nobody)).cases[0]?.failures[0] ?? '', /there is no gateway/);
  });

  it('fails when it is not, and says why', async () => {
    const [failure = ''] = (await resultOf(WRONG)).cases[0]?.failures ?? [];
    assert.match(
      failure,
      /^outside → shop\/web:80 GET \/: expected deny, got allow: Auth.*shop\/gets/,
    );
  });

  it('is tried with everyone, each service, method and path', async () => {
    const tests =
      '  - {name: x, from: [outside, shop/web], to: shop/web, method: [POST, DELETE],' +
      ' path: [/a, /b], expect: allow}\n';
    assert.equal((await resultOf(tests)).cases[0]?.failures.length, 8);
  });

  it('may say which policy or layer is to decide', async () => {
    const counts: number[] = [];
    for (const because of ['gets', 'allow', 'other', 'token']) {
      const { cases } = await resultOf(RIGHT.replace('}', `, because: ${because}}`));
      counts.push(cases[0]?.failures.length ?? 0);
    }
    assert.deepEqual(counts, [0, 0, 1, 1]);
  });

  it('is tried for real where somebody sends requests', async () => {
    const passed = await resultOf(RIGHT, { decision: 'allow', saw: '200' });
    assert.deepEqual(passed.cases[0]?.failures, []);
    const failed = await resultOf(RIGHT, { decision: 'deny', saw: '403' });
    assert.match(failed.cases[0]?.failures[0] ?? '', /got deny \(403\); policies say allow: /);
    const skipped = await resultOf(RIGHT, { skipped: 'nobody is there' });
    assert.deepEqual(skipped.cases[0]?.failures, []);
    assert.equal(skipped.exercised.size, 0);
    assert.match(REPORTS.text([skipped]), /not tried: outside → shop\/web:80 GET \/: nobody is/);
    assert.match(REPORTS.tap([skipped]), /^ok 1 - may look # SKIP outside/m);
    assert.match(REPORTS.junit([skipped]), /<skipped message="outside/);
  });

  it('fails where its service is not there', async () => {
    const [failure = ''] =
      (await resultOf(RIGHT.replace('shop/web', 'shop/wep'))).cases[0]?.failures ?? [];
    assert.match(failure, /there is no service "shop\/wep" \(did you mean "shop\/web"\?\)/);
  });

  const BROKEN: readonly (readonly [string, string, RegExp])[] = [
    ['without expect', '  - {name: x, from: outside, to: shop/web}\n', /expect/],
    ['without tests', '  []\n', /tests/],
    ['with an unknown field', RIGHT.replace('name', 'nam'), /nam/],
    ['that expects something else', RIGHT.replace('allow}', 'maybe}'), /maybe|allow/],
  ];
  for (const [what, tests, message] of BROKEN)
    it(`${what} is refused, with its place`, () => {
      const { suite, diagnostics } = suiteOf(tests);
      assert.equal(suite, undefined);
      assert.match(diagnostics.map((one) => `${one.field} ${one.message}`).join(), message);
      assert.ok(diagnostics.every(({ line, source }) => line >= 3 && source === 'dir/a,b.yaml'));
    });
});

describe('coverage', () => {
  it('counts rules that a call meets, and names the others', async () => {
    const { rules, missed, percent } = coverageOf([await resultOf(RIGHT)]);
    assert.deepEqual([rules, percent], [2, 50]);
    assert.deepEqual(
      missed.map(({ field }) => field),
      ['spec.rules[1]'],
    );
  });

  it('adds suites up', async () => {
    const put = RIGHT.replace('expect', 'method: PUT, expect');
    assert.equal(coverageOf([await resultOf(RIGHT), await resultOf(put)]).percent, 100);
  });
});

describe('a report', async () => {
  const results = [await resultOf(RIGHT + WRONG)];

  it('as text shows cases and coverage', () => {
    const text = REPORTS.text(results);
    assert.match(text, / {2}ok {4}may look\n {2}FAIL {2}may <look> \(line 5\)\n/);
    assert.match(text, /2 cases, 1 not as expected\nRules exercised: 1 of 2 \(50 %\)/);
    assert.match(text, /AuthorizationPolicy shop\/gets spec\.rules\[1\] \(dir\/p\.yaml:7\)/);
  });

  it('as TAP numbers the cases', () => {
    assert.match(
      REPORTS.tap(results),
      /^TAP version 13\n1\.\.2\nok 1 - may look\nnot ok 2 - may <l/,
    );
  });

  it('as JUnit is XML', () => {
    const text = REPORTS.junit(results);
    assert.match(text, /<testsuite name="dir\/a,b\.yaml" tests="2" failures="1">/);
    assert.match(text, /name="may &lt;look&gt;"><failure message="outside → shop/);
  });

  it('for GitHub names file and line', () => {
    const [error = '', warning = ''] = REPORTS.github(results).split('\n');
    assert.match(error, /^::error file=dir\/a%2Cb\.yaml,line=5::may <look>: outside → /);
    assert.match(warning, /^::warning file=dir\/p\.yaml,line=7::no case exercises Auth/);
  });
});
