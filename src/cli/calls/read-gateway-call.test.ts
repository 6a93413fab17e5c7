// Calls that come in through a gateway: what is found, what its listener takes, and what is no
// gateway. test/e2e/gateway-differential compares the answers with a real one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isBulwarkError } from '#base/errors.ts';
import type { CallSpelling } from '#cli/calls/call-spelling.ts';
import { callText } from '#cli/calls/decision-text.ts';
import { A_HOST, askThrough, onlySaid, policyOf } from '../../../test/kit/gateway-calls.ts';
import { objectsOf } from '../../../test/kit/objects.ts';

function refuses(spelling: Partial<CallSpelling>, message: RegExp): void {
  assert.throws(
    () => askThrough(spelling),
    (error) => {
      assert.ok(isBulwarkError(error, 'CLI_USAGE'), String(error));
      assert.match(`${error.message} (${error.remedy ?? ''})`, message);
      return true;
    },
  );
}

describe('a gateway on the command line', () => {
  it('is found by its name, and serves a host that leads to the service', () => {
    const { notes, ends } = askThrough({ through: 'front', to: 'shop/web' });
    assert.deepEqual(notes, [
      'the gateway edge/front has the ports 80, 443, 9000: 443 is meant',
      'asked for the host a.example.com: --host says another',
      'no workload of the gateway edge/front runs: its WorkloadGroup stands for it',
    ]);
    const [end] = ends;
    assert.equal(end?.decision.decision, 'allow');
    const what = 'outside → edge/front:443 GET a.example.com/ → shop/web:80';
    assert.equal(end && callText(end.call), what);
  });

  it('is one of the Gateway API, too', () => {
    const { line, what } =
      onlySaid({ through: 'edge/kube', host: 'near.example.com', path: '/near' }) ?? {};
    assert.equal(what, 'outside → edge/kube:8000 GET near.example.com/near');
    const rule = 'HTTPRoute edge/near redirects';
    assert.equal(line, `deny: ${rule} [route at edge/kube]`);
  });

  const WRONG: readonly (readonly [Partial<CallSpelling>, RegExp])[] = [
    [{ through: 'edge/frnt' }, /there is no gateway "edge\/frnt" \(did you mean "edge\/front"\?\)/],
    [{ through: 'shop/front' }, /there is no gateway "shop\/front"/],
    [{ through: 'edge/front:81' }, /has no port 81 \(it has 80, 443, 9000\)/],
    [{ through: 'edge/front:x' }, /is no service/],
    [
      { through: 'edge/idle' },
      /nothing is known to serve .* \(add a WorkloadGroup .*app: nobody\)/,
    ],
    [{ through: 'edge/front:9000', path: '/a' }, /port 9000 of edge\/front is not HTTP: path/],
    [{ through: 'edge/front:80', to: 'shop/wep' }, /there is no service .*shop\/web/],
    [{ through: 'edge/front:80', path: 'a' }, /is no path/],
    [{ through: 'edge/front:80', from: 'shop/web', certificate: 'x' }, /--from outside/],
    [{ through: undefined, to: 'shop/web', certificate: 'x' }, /--through/],
    [{ through: undefined }, /say --to/],
  ];
  for (const [spelling, message] of WRONG)
    it(`is not ${JSON.stringify(spelling)}`, () => refuses(spelling, message));
});

describe('the listener of a gateway', () => {
  const at = (host: string, more: Partial<CallSpelling> = {}) =>
    onlySaid({ through: 'edge/front:443', host, ...more });

  it('takes no name that no server has', () => {
    const { layer, answer, line = '' } = at('unknown.test') ?? {};
    assert.deepEqual([layer, answer], ['connection', 'the connection is closed']);
    assert.match(line, /no server of port 443 has the name "unknown.test"/);
  });

  it('asks for a certificate, and for a name in it', () => {
    const { field, by, line = '' } = at('m.example.com') ?? {};
    assert.deepEqual([by, field], ['Gateway edge/front', 'spec.servers[3]']);
    assert.match(line, /^deny: .*certificate of the authorities in Secret cert, and there is none/);
    assert.match(at('m.example.com', { certificate: 'else' })?.line ?? '', /^deny: .*for else/);
    assert.match(at('m.example.com', { certificate: 'partner' })?.line ?? '', /^allow/);
    assert.match(at('m.example.com', { certificate: '' })?.line ?? '', /^allow/);
  });

  it('takes callers of the mesh for what they are, where it asks for that', () => {
    const objects = policyOf('edge', '{ rules: [{ from: [{ source: { namespaces: [far] } }] }] }');
    const world = { objects };
    const call = { through: 'edge/front:443', host: 'mesh.example.com' };
    assert.match(onlySaid({ ...call, from: 'far/lone' }, world)?.line ?? '', /^allow/);
    assert.match(
      onlySaid({ ...call, from: 'shop/web' }, world)?.line ?? '',
      /^deny: no rule.*at edge/,
    );
    assert.match(onlySaid(call, world)?.line ?? '', /^deny: .*certificate of the mesh.*connection/);
    const foreign = 'spiffe://else.where/ns/far/sa/lone';
    assert.match(onlySaid({ ...call, from: foreign }, world)?.line ?? '', /is not one of the mesh/);
    // Nobody is known who calls in clear.
    assert.match(onlySaid({ ...A_HOST, from: 'far/lone' }, world)?.line ?? '', /^deny: no rule/);
  });

  it('takes nobody who is revoked, and leads no call of a gateway that is', () => {
    const revoked = (account: string) =>
      objectsOf(`
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: gone }
spec: { identity: "spiffe://cluster.local/ns/${account}" }
`);
    const call = { through: 'edge/front:443', host: 'mesh.example.com', from: 'far/lone' };
    const told = onlySaid(call, { objects: revoked('far/sa/lone') });
    assert.deepEqual([told?.layer, told?.at], ['revocation', 'edge/front']);
    const gateway = onlySaid(A_HOST, { objects: revoked('edge/sa/gate') });
    assert.deepEqual([gateway?.layer, gateway?.at], ['revocation', undefined]);
    assert.match(onlySaid(A_HOST, { objects: revoked('far/sa/lone') })?.line ?? '', /^allow/);
  });

  it('leads on by name what it does not read, and serves no other', () => {
    const { line = '', what } = at('db.pass.example.com') ?? {};
    assert.equal(what, 'outside → edge/front:443 db.pass.example.com → shop/db:5000');
    assert.match(line, /^allow.*leads such connections to shop\/db:5000/);
    assert.match(at('x.pass.example.com')?.line ?? '', /^deny: no route of the gateway takes/);
    assert.match(at('auto.example.com')?.line ?? '', /^deny: such a server is not served/);
  });

  it('leads plain connections where a route says', () => {
    const call = { through: 'edge/front:9000', to: 'shop/db' };
    assert.match(onlySaid(call)?.line ?? '', /^allow/);
    const objects = policyOf(
      'shop',
      '{ action: DENY, rules: [{ from: [{ source: { principals: [cluster.local/ns/edge/sa/gate] } }] }] }',
    );
    const denied = onlySaid(call, { objects });
    assert.deepEqual([denied?.by, denied?.at], ['AuthorizationPolicy shop/p', undefined]);
  });
});
