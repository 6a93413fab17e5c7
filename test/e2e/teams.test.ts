// Two teams on one server: neither reads or changes what the other owns, nor reaches its services.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { applyObject, pathsOf } from '#cli/apply-object.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { startEchoApp } from '../kit/echo-app.ts';
import { GuidePage, Terminal } from '../kit/guide-mesh.ts';
import { KeepAliveClient } from '../kit/keep-alive-client.ts';
import { objectsOf } from '../kit/objects.ts';
import { RealMesh } from '../kit/real-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

const TEAMS = ['team1', 'team2'] as const;
type TeamName = (typeof TEAMS)[number];
/** Who of each team there is, on the page of the guide. */
const MEMBERS: Readonly<Record<TeamName, string>> = { team1: 'ana', team2: 'bo' };

/** What a team writes for itself: its service, and that only its own workloads may call it. */
const objectsOfTeam = (team: TeamName): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: ${team}-ns }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: ${team}-ns }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: web, namespace: ${team}-ns }
spec: { metadata: { labels: { app: web } }, template: { serviceAccount: web } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: ${team}-ns }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: own-team, namespace: ${team}-ns }
spec: { rules: [{ from: [{ source: { namespaces: [${team}-ns] } }] }] }
`;

/** Runs the commands of the guide's page; gives what the questions at their end were answered. */
async function followPage(t: TestContext, mesh: RealMesh) {
  const page = new GuidePage('teams.md');
  const terminal = new Terminal();
  t.after(() => terminal.close());
  terminal.env.KUBECONFIG = mesh.kubeconfig;
  for (const member of Object.values(MEMBERS)) {
    const file = `${member}.kubeconfig`;
    terminal.replaced.set(file, join(mesh.directory, file));
  }
  await terminal.shell(page.blockWith('create namespace'));
  await terminal.shell(page.blockWith('user create'));
  return { page, terminal, said: await terminal.shell(page.blockWith('auth whoami')) };
}

interface Team {
  readonly api: KubeClient;
  readonly http: KeepAliveClient;
}

/** A team with a kubeconfig of its own, by which it writes its objects and runs its workload. */
async function startTeam(t: TestContext, mesh: RealMesh, team: TeamName): Promise<Team> {
  const kubeconfig = join(mesh.directory, `${MEMBERS[team]}.kubeconfig`);
  const api = new KubeClient(await readKubeconfig(kubeconfig));
  t.after(() => api.close());
  for (const object of objectsOf(objectsOfTeam(team))) {
    await applyObject(api, object, pathsOf(object, 'default'));
  }
  const port = await startEchoApp(t, team);
  const workload = { namespace: `${team}-ns`, serviceAccount: 'web', name: 'web', group: 'web' };
  const app = { ports: [{ name: 'http', port }] };
  const workloads = [{ ...workload, mode: 'explicit', app }];
  const status = await mesh.startAgent(team, { kubeconfig, workloads });
  const { ports } = await status('web');
  const http = new KeepAliveClient({ port: ports.httpProxyPort });
  t.after(() => http.close());
  return { api, http };
}

const policyPath = (team: TeamName): string =>
  `/apis/security.istio.io/v1/namespaces/${team}-ns/authorizationpolicies`;
const mergePatch = 'application/merge-patch+json';

/** What somebody of team1 may try against team2: what it is, and the request. */
const ATTEMPTS: readonly [string, Parameters<KubeClient['send']>[0]][] = [
  ['read a policy', { method: 'GET', path: `${policyPath('team2')}/own-team` }],
  ['list policies', { method: 'GET', path: policyPath('team2') }],
  [
    'list them everywhere',
    { method: 'GET', path: '/apis/security.istio.io/v1/authorizationpolicies' },
  ],
  ['delete a policy', { method: 'DELETE', path: `${policyPath('team2')}/own-team` }],
  ['delete all policies', { method: 'DELETE', path: policyPath('team2') }],
  [
    'open a policy',
    {
      ...{ method: 'PATCH', path: `${policyPath('team2')}/own-team`, contentType: mergePatch },
      body: { spec: { rules: [{}] } },
    },
  ],
  [
    'write its status',
    {
      ...{ method: 'PATCH', path: `${policyPath('team2')}/own-team/status` },
      ...{ contentType: mergePatch, body: { status: {} } },
    },
  ],
  [
    'write a policy for the whole mesh',
    {
      ...{
        method: 'POST',
        path: '/apis/security.istio.io/v1/namespaces/istio-system/authorizationpolicies',
      },
      body: { metadata: { name: 'open' }, spec: { rules: [{}] } },
    },
  ],
  ['read secrets', { method: 'GET', path: '/api/v1/namespaces/team2-ns/secrets' }],
  [
    'become its account',
    {
      ...{ method: 'POST', path: '/api/v1/namespaces/team2-ns/serviceaccounts/web/token' },
      body: { spec: { audiences: ['istio-ca'] } },
    },
  ],
  [
    'let itself in',
    {
      method: 'POST',
      path: '/apis/rbac.authorization.k8s.io/v1/namespaces/team2-ns/rolebindings',
      body: {
        metadata: { name: 'me-too' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
        subjects: [{ kind: 'Group', name: 'team1' }],
      },
    },
  ],
  [
    'route its host elsewhere',
    {
      method: 'POST',
      path: '/apis/networking.istio.io/v1/namespaces/team1-ns/virtualservices',
      body: {
        metadata: { name: 'taken' },
        spec: {
          hosts: ['web.team2-ns.svc.cluster.local'],
          http: [{ route: [{ destination: { host: 'web.team1-ns.svc.cluster.local' } }] }],
        },
      },
    },
  ],
  [
    'open a gateway',
    {
      method: 'POST',
      path: '/apis/networking.istio.io/v1/namespaces/team1-ns/gateways',
      body: {
        metadata: { name: 'door' },
        spec: { servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] },
      },
    },
  ],
];

test('two teams, each in its namespace', { timeout: 240_000 }, async (t) => {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  const { said, page, terminal } = await followPage(t, mesh);
  await t.test('the page of the guide says what each may do', async () => {
    assert.match(said, /Groups +\[team1 system:authenticated\]/);
    assert.match(said, /authorizationpolicies\.security\.istio\.io +\[\] +\[\] +\[create delete/);
    assert.match(said, /\nno\n$/);
    const refused = await terminal.shell(`${page.blockWith('get authorizationpolicies')} 2>&1`);
    const shown = page.text.replaceAll(/\n> /g, ' ');
    assert.ok(shown.includes(refused.trim()), refused);
  });
  const [team1, team2] = await Promise.all(TEAMS.map((team) => startTeam(t, mesh, team)));
  assert.ok(team1 && team2);
  const statusOf = async ({ http }: Team, other: TeamName): Promise<number> =>
    (await http.ask({ target: `http://web.${other}-ns/` })).status;

  await t.test('each calls its own service, and is denied at that of the other', async () => {
    for (const [team, own, other] of [
      [team1, 'team1', 'team2'],
      [team2, 'team2', 'team1'],
    ] as const) {
      await waitUntil(async () => (await statusOf(team, own)) === 200, `${own} calls itself`);
      await waitUntil(async () => (await statusOf(team, other)) === 403, `${own} is denied`);
    }
  });

  for (const [what, request] of ATTEMPTS) {
    await t.test(`one may not ${what}`, async () => {
      const { status, body } = await team1.api.send(request);
      assert.equal(status, 403, JSON.stringify(body));
      assert.match((body as { message: string }).message, /User "ana" cannot/);
    });
  }

  await t.test('a Gateway is opened by administrators alone', async () => {
    const door = ATTEMPTS.find(([what]) => what === 'open a gateway')?.[1];
    assert.ok(door);
    assert.equal((await team1.api.send(door)).status, 403);
    assert.equal((await mesh.api.send(door)).status, 201);
  });

  await t.test('each changes what is its own, and nobody elses workloads notice', async () => {
    const body = { spec: { rules: [{}] } };
    const path = `${policyPath('team1')}/own-team`;
    assert.equal(
      (await team1.api.send({ method: 'PATCH', contentType: mergePatch, body, path })).status,
      200,
    );
    await waitUntil(async () => (await statusOf(team2, 'team1')) === 200, 'team1 lets team2 in');
    assert.equal(await statusOf(team1, 'team2'), 403);
  });

  await t.test('a kubeconfig that is there is not replaced unasked', async () => {
    const path = join(mesh.directory, 'ana.kubeconfig');
    const before = readFileSync(path, 'utf8');
    const words = ['user', 'create', 'ana', '--out', path];
    await assert.rejects(mesh.command(...words), /is there already/);
    assert.equal(readFileSync(path, 'utf8'), before);
    await mesh.command(...words, '--replace');
    assert.notEqual(readFileSync(path, 'utf8'), before);
  });

  await t.test('who lost the role may do nothing, at once', async () => {
    const binding = '/apis/rbac.authorization.k8s.io/v1/namespaces/team1-ns/rolebindings/team1';
    await mesh.api.expect({ method: 'DELETE', path: binding });
    assert.equal((await team1.api.send({ method: 'GET', path: policyPath('team1') })).status, 403);
    assert.equal((await team2.api.send({ method: 'GET', path: policyPath('team2') })).status, 200);
  });
});
