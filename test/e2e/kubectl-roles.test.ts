import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kubeconfigText } from '#api/kubeconfig.ts';
import { writeFileAtomic } from '#base/files.ts';
import { startApiServer, type TestApiServer } from '../kit/api-server.ts';
import { Kubectl } from '../kit/kubectl.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

// Roles, bindings and questions about them by the real kubectl, as administrator and as somebody.

const closers: (() => unknown)[] = [];
const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
let api: TestApiServer;
let admin: Kubectl;
let ana: Kubectl;

const words = (line: string): string[] => line.split(' ');
const asAdmin = (line: string, stdin?: string): Promise<string> => admin.output(words(line), stdin);

async function kubectlOf(user: string, ...groups: string[]): Promise<Kubectl> {
  const directory = temporaryDirectory(suite);
  const kubeconfig = join(directory, 'kubeconfig');
  const credentials = api.clients.issue({ user, groups, validDays: 1 });
  const [server, serverCa] = [api.url, api.authority.root];
  const namespace = 'team1-ns';
  const text = kubeconfigText({ user, server, serverCa, namespace, ...credentials });
  await writeFileAtomic(kubeconfig, text);
  return new Kubectl({ kubeconfig, directory });
}

before(async () => {
  const directory = temporaryDirectory(suite);
  api = await startApiServer(suite, { directory });
  admin = new Kubectl({ kubeconfig: api.kubeconfig, directory });
  await asAdmin('create namespace team1-ns');
  ana = await kubectlOf('ana', 'team1');
});
after(async () => {
  for (const close of closers) await close();
});

describe('kubectl', () => {
  it('creates roles and bindings, and shows them', async () => {
    for (const line of [
      'create role reader --verb=get,list --resource=configmaps -n team1-ns',
      'create rolebinding reader --role=reader --user=ana -n team1-ns',
      'create clusterrole metrics --verb=get --non-resource-url=/metrics',
      'create clusterrolebinding metrics --clusterrole=metrics --serviceaccount=team1-ns:default',
    ])
      assert.match(await asAdmin(line), /rbac\.authorization\.k8s\.io\/\w+ created/);
    const shown = await asAdmin('get rolebindings -o wide -n team1-ns');
    assert.match(
      shown,
      /NAME +ROLE +AGE +USERS +GROUPS +SERVICEACCOUNTS\nreader +Role\/reader .* ana/,
    );
    assert.match(await asAdmin('get roles -n team1-ns'), /NAME +CREATED AT\nreader +\d{4}-/);
    assert.match(await asAdmin('describe clusterrole metrics'), /\[\/metrics\] +\[\] +\[get\]/);
    assert.match(await asAdmin('explain rolebinding.roleRef'), /can never be changed/);
  });

  it('says what somebody may do', async () => {
    assert.equal(await ana.output(words('auth can-i list configmaps')), 'yes\n');
    const no = await ana.run(words('auth can-i delete secrets'));
    assert.deepEqual([no.code, no.stdout], [1, 'no\n']);
    assert.match(
      await ana.output(words('auth can-i --list')),
      /\nconfigmaps +\[\] +\[\] +\[get list\]/,
    );
    assert.match(await ana.output(words('auth whoami')), /Groups +\[team1 system:authenticated\]/);
  });

  it('acts as somebody else for an administrator, and for nobody who may not', async () => {
    assert.equal(await asAdmin('auth can-i get configmaps -n team1-ns --as ana'), 'yes\n');
    const { code, stderr } = await admin.run(words('get secrets -n team1-ns --as ana'));
    assert.equal(code, 1);
    assert.match(stderr, /User "ana" cannot list resource "secrets" in API group "" in the/);
    const refused = await ana.run(words('get secrets --as boss --as-group system:masters'));
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /cannot impersonate/);
  });

  it('reconciles roles: what is missing is added, what is there stays', async () => {
    const wanted = JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'reader', namespace: 'team1-ns' },
      rules: [{ verbs: ['watch'], apiGroups: [''], resources: ['configmaps'] }],
    });
    assert.match(await asAdmin('auth reconcile -f -', wanted), /reader reconciled/);
    assert.equal(await ana.output(words('auth can-i watch configmaps')), 'yes\n');
    assert.equal(await ana.output(words('auth can-i list configmaps')), 'yes\n');
  });

  it('tells who gives away too much what is missing', async () => {
    await asAdmin('create rolebinding ana-admin --clusterrole=admin --user=ana -n team1-ns');
    const line = 'create rolebinding all --clusterrole=cluster-admin --user=ana';
    const { code, stderr } = await ana.run(words(line));
    assert.equal(code, 1);
    assert.match(stderr, /attempting to grant RBAC permissions not currently held/);
    const own = 'create rolebinding helper --clusterrole=view --user=bo';
    assert.match(await ana.output(words(own)), /helper created/);
  });
});
