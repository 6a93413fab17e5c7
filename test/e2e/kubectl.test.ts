import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { startApiServer, type TestApiServer } from '../kit/api-server.ts';
import { Kubectl, type KubectlAnswer } from '../kit/kubectl.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';

// The real kubectl against the API server, with the kubeconfig that the server writes.

const closers: (() => unknown)[] = [];
const suite = { after: (close: () => unknown) => void closers.unshift(close) } as never;
let api: TestApiServer;
let kubectl: Kubectl;

const run = (line: string, stdin?: string): Promise<KubectlAnswer> =>
  kubectl.run(line.split(' '), stdin);
const output = (line: string, stdin?: string): Promise<string> =>
  kubectl.output(line.split(' '), stdin);

before(async () => {
  const directory = temporaryDirectory(suite);
  api = await startApiServer(suite, { directory });
  kubectl = new Kubectl({ kubeconfig: api.kubeconfig, directory });
  await output('create namespace demo');
  await output('config set-context --current --namespace=demo');
});
after(async () => {
  for (const close of closers) await close();
});

const PHOTO = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
`;

const results = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim());

describe('kubectl apply', () => {
  it('creates, leaves alone what is unchanged, and changes what is', async () => {
    assert.deepEqual(results(await output('apply -f -', PHOTO)), [
      'serviceaccount/web created',
      'service/web created',
      'peerauthentication.security.istio.io/default created',
    ]);
    assert.deepEqual(results(await output('apply -f -', PHOTO)), [
      'serviceaccount/web unchanged',
      'service/web unchanged',
      'peerauthentication.security.istio.io/default unchanged',
    ]);
    const changed = PHOTO.replace('STRICT', 'PERMISSIVE').replace(
      'ports: [',
      'ports: [{name: admin, port: 81}, ',
    );
    assert.deepEqual(results(await output('apply -f -', changed)), [
      'serviceaccount/web unchanged',
      'service/web configured',
      'peerauthentication.security.istio.io/default configured',
    ]);
    assert.equal(await output('get pa default -o jsonpath={.spec.mtls.mode}'), 'PERMISSIVE');
    const ports = await output('get svc web -o jsonpath={.spec.ports[*].port}');
    assert.equal(ports.split(' ').sort().join(' '), '80 81');
    await output('apply -f -', PHOTO);
    assert.equal(await output('get svc web -o jsonpath={.spec.ports[*].port}'), '80');
  });

  it('shows a difference before it is applied, and stores nothing in a dry run', async () => {
    await output('apply -f -', PHOTO);
    const changed = PHOTO.replace('STRICT', 'DISABLE');
    const diff = await run('diff -f -', changed);
    assert.equal(diff.code, 1);
    assert.match(diff.stdout, /^-\s+mode: STRICT\n\+\s+mode: DISABLE$/m);
    const dry = await output('apply --dry-run=server -f -', changed);
    assert.match(dry, /peerauthentication\S+ configured \(server dry run\)/);
    assert.equal(await output('get pa default -o jsonpath={.spec.mtls.mode}'), 'STRICT');
  });

  it('names an unknown field, and a value that is none of those accepted', async () => {
    const typo = await run('apply -f -', PHOTO.replace('mtls:', 'mtlss:'));
    assert.equal(typo.code, 1);
    assert.match(typo.stderr, /strict decoding error: unknown field "spec.mtlss"/);
    const value = await run('apply -f -', PHOTO.replace('STRICT', 'MAYBE'));
    assert.match(value.stderr, /PeerAuthentication "default" is invalid/);
    assert.match(
      value.stderr,
      /spec.mtls.mode: Unsupported value: "MAYBE": supported values: "UNSET", "DISABLE"/,
    );
    const wrong = await run('apply -f -', PHOTO.replace('port: 80,', 'port: eighty,'));
    assert.match(wrong.stderr, /Service.spec.ports.port of type/);
    const warned = await run('apply --validate=warn -f -', PHOTO.replace('mtls:', 'mtlss:'));
    assert.equal(warned.code, 0);
    assert.match(warned.stderr, /Warning: unknown field "spec.mtlss"/);
  });

  it('says that a kind, or server-side apply, is not there', async () => {
    const kind = 'apiVersion: example.com/v1\nkind: Nope\nmetadata: {name: x}\n';
    const unknown = await run('apply -f -', kind);
    assert.match(unknown.stderr, /no matches for kind "Nope" in version "example.com\/v1"/);
    const serverSide = await run('apply --server-side -f -', PHOTO);
    assert.equal(serverSide.code, 1);
    assert.match(serverSide.stderr, /the body of the request was in an unknown format/);
  });
});

describe('kubectl get', () => {
  before(() => output('apply -f -', PHOTO));

  it('prints the columns of each kind', async () => {
    const [header, row] = results(await output('get svc'));
    assert.match(header ?? '', /^NAME\s+TYPE\s+CLUSTER-IP\s+EXTERNAL-IP\s+PORT\(S\)\s+AGE$/);
    assert.match(row ?? '', /^web\s+ClusterIP\s+10\.\d+\.\d+\.\d+\s+<none>\s+80\/TCP\s+\d+s$/);
    assert.match(await output('get svc -o wide'), /SELECTOR\n.*app=web/);
    assert.match(await output('get peerauthentication'), /^NAME\s+MODE\s+AGE\ndefault\s+STRICT\s/);
    assert.match(await output('get ns demo'), /^NAME\s+STATUS\s+AGE\ndemo\s+Active\s/);
    assert.match(await output('get sa -A'), /^NAMESPACE\s+NAME\s+AGE\ndefault\s+default\s/);
  });

  it('prints objects as YAML, JSON and names, by label and page by page', async () => {
    const yaml = await output('get svc web -o yaml');
    assert.match(yaml, /^apiVersion: v1\nkind: Service\nmetadata:\n/);
    assert.match(yaml, /\n {2}selector:\n {4}app: web\n/);
    assert.equal(JSON.parse(await output('get pa default -o json')).spec.mtls.mode, 'STRICT');
    assert.equal(await output('get svc -l app=web -o name'), 'service/web\n');
    assert.match((await run('get svc -l app=none')).stderr, /No resources found/);
    assert.equal(results(await output('get sa --chunk-size=1 -o name')).length, 2);
    const missing = await run('get svc nope');
    assert.equal(missing.stderr, 'Error from server (NotFound): services "nope" not found\n');
    const kind = await run('get widgets');
    assert.match(kind.stderr, /the server doesn't have a resource type "widgets"/);
  });

  it('goes on with --watch: a line for each change', async (test) => {
    const watch = kubectl.start(['get', 'configmaps', '--watch', '--output-watch-events']);
    test.after(() => watch.stop());
    await output('create configmap seen --from-literal=k=v');
    const saw = (event: string): Promise<true> =>
      watch.waitForLine((line) => line.startsWith(event) || undefined, 60_000) as Promise<true>;
    await watch.waitForLine((line) => /^ADDED\s+seen\s+1\s/.test(line) || undefined, 60_000);
    await output('patch configmap seen -p {"data":{"j":"w"}}');
    await watch.waitForLine((line) => /^MODIFIED\s+seen\s+2\s/.test(line) || undefined, 60_000);
    await output('delete configmap seen');
    await saw('DELETED');
  });
});

describe('kubectl changes and removes', () => {
  it('creates from the command line, for which it sends protobuf', async () => {
    await output('create secret generic s --from-literal=k=v');
    assert.equal(await output('get secret s -o jsonpath={.type}/{.data.k}'), 'Opaque/dg==');
    await output('create configmap c --from-literal=k=v');
    assert.equal(await output('get cm c -o jsonpath={.data.k}'), 'v');
    assert.equal(await output('create serviceaccount bot'), 'serviceaccount/bot created\n');
    const again = await run('create serviceaccount bot');
    assert.match(again.stderr, /serviceaccounts "bot" already exists/);
    await output('create service clusterip made --tcp=80:http');
    const port = await output('get svc made -o jsonpath={.spec.ports[0].targetPort}');
    assert.equal(port, 'http');
  });

  it('labels, annotates, patches and replaces', async () => {
    await output('create configmap c2 --from-literal=k=v');
    await output('label configmap c2 tier=front');
    await output('annotate configmap c2 note=x');
    await output('patch configmap c2 --type=merge -p {"data":{"k":null,"m":"1"}}');
    await output('patch configmap c2 --type=json -p [{"op":"add","path":"/data/j","value":"2"}]');
    const object = JSON.parse(await output('get configmap c2 -o json'));
    assert.deepEqual(object.data, { m: '1', j: '2' });
    assert.deepEqual(object.metadata.labels, { tier: 'front' });
    object.data = { new: 'value' };
    assert.equal(await output('replace -f -', JSON.stringify(object)), 'configmap/c2 replaced\n');
    const stale = await run('replace -f -', JSON.stringify(object));
    assert.match(stale.stderr, /the object has been modified/);
  });

  it('deletes objects, and namespaces with what is in them, and waits until they are gone', async () => {
    await output('create namespace short');
    await output('-n short create configmap c --from-literal=k=v');
    assert.equal(
      await output('delete namespace short --timeout=20s'),
      'namespace "short" deleted\n',
    );
    assert.match((await run('get namespace short')).stderr, /namespaces "short" not found/);
    assert.match((await run('-n short get configmap c')).stderr, /NotFound|not found/);
    await output('create configmap c3 --from-literal=k=v');
    assert.match(await output('delete configmap c3'), /^configmap "c3" deleted/);
    assert.match((await run('delete configmap c3')).stderr, /configmaps "c3" not found/);
    assert.match(await output('delete -f -', PHOTO), /service "web" deleted/);
  });
});

describe('kubectl and identities', () => {
  it('gets tokens of service accounts', async () => {
    await output('create serviceaccount app');
    const token = await output('create token app --audience=istio-ca --duration=10m');
    const claims = decodeJwt(token.trim());
    assert.equal(claims.sub, 'system:serviceaccount:demo:app');
    assert.deepEqual(claims.aud, ['istio-ca']);
    assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 600);
    const short = await run('create token app --duration=1m');
    assert.match(short.stderr, /may not specify a duration less than 10 minutes/);
    const ghost = await run('create token ghost');
    assert.match(ghost.stderr, /serviceaccounts "ghost" not found/);
  });

  it('says who it is, by certificate and by token', async () => {
    assert.match(await output('auth whoami'), /Username\s+bulwark-admin\n/);
    await output('create serviceaccount who');
    const token = (await output('create token who')).trim();
    const ca = join(api.directory, 'server-ca.crt');
    writeFileSync(ca, api.authority.root);
    const server = ['--server', api.url, '--certificate-authority', ca];
    const asWorkload = ['--kubeconfig', '/dev/null', ...server, '--token', token];
    const { stdout } = await kubectl.run([...asWorkload, 'auth', 'whoami']);
    assert.match(stdout, /system:serviceaccount:demo:who/);
    const refused = await kubectl.run([...asWorkload, 'get', 'secrets', '-n', 'demo']);
    assert.match(
      refused.stderr,
      /secrets is forbidden: User "system:serviceaccount:demo:who" cannot/,
    );
  });

  it('finds the TokenRequest entry that Istio looks for', async () => {
    const { resources } = JSON.parse(await output('get --raw /api/v1'));
    const entry = resources.find((one: { name: string }) => one.name === 'serviceaccounts/token');
    assert.equal(
      JSON.stringify(entry),
      '{"name":"serviceaccounts/token","singularName":"","namespaced":true,' +
        '"group":"authentication.k8s.io","version":"v1","kind":"TokenRequest","verbs":["create"]}',
    );
  });
});

describe('kubectl asks what there is', () => {
  it('lists kinds and versions', async () => {
    const kinds = await output('api-resources');
    assert.match(kinds, /^peerauthentications\s+pa\s+security.istio.io\/v1\s+true\s+PeerAuth/m);
    assert.match(await output('api-versions'), /^networking.istio.io\/v1$/m);
    assert.match(await output('version'), /Server Version: v1\./);
  });

  it('explains kinds and fields', async () => {
    const kind = await output('explain peerauthentication');
    assert.match(kind, /GROUP:\s+security.istio.io\nKIND:\s+PeerAuthentication\nVERSION:\s+v1\n/);
    const field = await output('explain peerauthentication.spec.mtls.mode');
    assert.match(field, /FIELD: mode <string>/);
    assert.match(field, /ENUM:\n\s+UNSET\n\s+DISABLE\n\s+PERMISSIVE\n\s+STRICT\n/);
    assert.match(await output('explain service.spec.ports'), /FIELD: ports <\[\]/);
  });
});
