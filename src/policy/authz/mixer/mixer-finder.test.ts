// Mixer's rules, decided: what each denies and what it leaves alone.
import { describe, it } from 'node:test';
import { type Asked, allows, denies, rule } from '../../../../test/kit/mixer-rules.ts';

describe('a denier', () => {
  it('denies what the rule matches, and nothing else', () => {
    const objects = rule('source.principal == "cluster.local/ns/foo/sa/bad"');
    denies({ caller: 'foo/bad' }, objects);
    allows({ caller: 'foo/good' }, objects);
    allows({}, objects);
    allows({ caller: 'foo/bad' });
  });

  it('denies everything by a rule without condition', () => {
    denies({}, rule(''));
    denies({}, rule('true'));
    denies({ tcp: true }, rule('true'));
    allows({}, rule('false'));
  });

  it('is there in the older form, too, and by its whole name', () => {
    const older = `
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: { name: old, namespace: foo }
spec: { status: { code: 7, message: no } }
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: { name: old, namespace: foo }
spec:
`;
    for (const end of ['', '.foo'])
      denies({}, older, rule('', `old.denier${end}`, `old.checknothing${end}`));
    for (const name of ['deny.handler', 'deny.foo', 'deny.handler.foo'])
      denies({}, older, rule('', name, 'nothing.instance'));
    allows({}, older, rule('', 'old.denier.bar', 'old.checknothing'));
    allows({}, older, rule('', 'gone.denier', 'old.checknothing'));
  });

  it('denies although another policy allows, and a policy that allows is still needed', () => {
    const allow = (path: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: a, namespace: foo }
spec: { rules: [{ to: [{ operation: { paths: ["${path}"] } }] }] }
`;
    denies({}, rule('request.method == "GET"'), allow('/'));
    denies({}, rule('request.method == "PUT"'), allow('/other'));
    allows({}, rule('request.method == "PUT"'), allow('/'));
  });
});

it('a denier denies who has a role, too', () => {
  const rbac = '\napiVersion: rbac.istio.io/v1alpha1\nkind: ';
  const roles = [
    `${rbac}ClusterRbacConfig\nmetadata: { name: default }\nspec: { mode: "ON" }\n`,
    `${rbac}ServiceRole\nmetadata: { name: all, namespace: foo }\nspec: { rules: [{ services: ["*"] }] }\n`,
    `${rbac}ServiceRoleBinding\nmetadata: { name: all, namespace: foo }\nspec: { subjects: [{ user: cluster.local/ns/a/sa/b }], roleRef: { kind: ServiceRole, name: all } }\n`,
  ];
  const put = rule('request.method == "PUT"');
  allows({ caller: 'a/b' }, ...roles, put);
  denies({ caller: 'a/b', method: 'PUT' }, ...roles, put);
  denies({ caller: 'a/c' }, ...roles, put);
});

describe('the scope of a rule', () => {
  it('is the namespace, or the mesh in the root namespace', () => {
    const elsewhere = rule('').replaceAll('namespace: foo', 'namespace: bar');
    allows({}, elsewhere);
    const everywhere = [rule('', 'deny.foo', 'nothing.foo')];
    denies(
      {},
      ...everywhere.map((one) => one.replace('namespace: foo', 'namespace: istio-system')),
    );
  });

  it('is the service that is called, by the port that it leads to', () => {
    const hosts = ['shop.foo.svc.cluster.local', 'admin.foo.svc.cluster.local'] as const;
    const objects = rule(`destination.service.host == "${hosts[1]}"`);
    denies({ port: 9090 }, objects);
    allows({ port: 8080 }, objects);
    denies({ port: 8080 }, rule('destination.service.name == "shop"'));
    denies({ port: 8080 }, rule(`destination.service == "${hosts[0]}"`));
    allows({}, rule('destination.service.host == "other.foo.svc.cluster.local"'));
    denies({ port: 9090 }, rule('match(destination.service.host, "admin.*")'));
    allows({ port: 8080 }, rule('match(destination.service.host, "admin.*")'));
    denies({}, rule('destination.service.namespace == "foo"'));
  });

  it('is the workload by what is known of it', () => {
    denies({}, rule('destination.labels["version"] == "v1"'));
    allows({}, rule('destination.labels["version"] == "v2"'));
    allows({}, rule('destination.labels["other"] == "v2"'));
    allows({}, rule('destination.labels["other"] != "v2"'));
    denies({}, rule('(destination.labels["other"] | "none") == "none"'));
    denies({}, rule('destination.principal == "cluster.local/ns/foo/sa/app"'));
    denies({}, rule('toLower(destination.namespace + "X") == "foox"'));
    denies({}, rule('size(destination.namespace) == 3 && context.reporter.kind == "inbound"'));
  });
});

describe('conditions on requests', () => {
  const both = (match: string, denied: Asked, allowed: Asked) => {
    denies(denied, rule(match));
    allows(allowed, rule(match));
  };

  it('ask who calls', () => {
    both('source.user == "cluster.local/ns/a/sa/b"', { caller: 'a/b' }, { caller: 'a/c' });
    both('source.principal == "spiffe://cluster.local/ns/a/sa/b"', { caller: 'a/b' }, {});
    both('source.principal != "cluster.local/ns/a/sa/b"', { caller: 'a/c' }, { caller: 'a/b' });
    both(
      'source.principal.startsWith("cluster.local/ns/a/")',
      { caller: 'a/c' },
      { caller: 'b/c' },
    );
    both('source.namespace == "a"', { caller: 'a/c' }, { caller: 'ab/c' });
    both('source.namespace != destination.namespace', { caller: 'a/c' }, { caller: 'foo/c' });
    both('source.workload.namespace == "a"', { caller: 'a/c' }, { caller: 'b/c' });
    both('source.serviceAccount == "c"', { caller: 'a/c' }, { caller: 'a/xc' });
    both('source.ip == ip("10.1.2.3")', {}, { address: '10.1.2.4' });
    both('connection.mtls', { caller: 'a/b' }, {});
    both('!connection.mtls', {}, { caller: 'a/b' });
    both('connection.mtls == false', {}, { caller: 'a/b' });
  });

  it('know the peer, where principals are those of end users, too', () => {
    const objects = rule('source.principal == "cluster.local/ns/a/sa/b"');
    denies({ caller: 'a/b', principals: 'origin', claims: { iss: 'i', sub: 's' } }, objects);
    allows({ caller: 'a/c', principals: 'origin', claims: { iss: 'i', sub: 's' } }, objects);
  });

  it('ask what is asked for', () => {
    both('request.method == "PUT"', { method: 'PUT' }, { method: 'GET' });
    both('request.path == "/a?b"', { target: '/a?b' }, { target: '/a' });
    both('request.url_path == "/a"', { target: '/a?b' }, { target: '/ab' });
    both('request.url_path.endsWith(".css")', { target: '/a.css' }, { target: '/a.js' });
    both('"^/a[0-9]$".matches(request.url_path)', { target: '/a1' }, { target: '/a12' });
    both('"[0-9]".matches(request.url_path)', { target: '/a12/' }, { target: '/a' });
    both('"(?i)^/A".matches(request.url_path)', { target: '/abc' }, { target: '/b' });
    both('match(request.path, "/admin*")', { target: '/admin/x' }, { target: '/x/admin' });
    both('request.host == "shop"', { host: 'shop:80' }, { host: 'other' });
    both('request.headers["X-A"] == "1"', { headers: { 'x-a': '1' } }, { headers: { 'x-a': '2' } });
    both('request.useragent != "good"', { headers: { 'user-agent': 'bad' } }, {});
    both('connection.requested_server_name == "a"', { serverName: 'a' }, { serverName: 'b' });
    both('destination.port == 9090', { port: 9090 }, { port: 8080 });
    both('context.protocol == "http"', {}, { headers: { 'content-type': 'application/grpc' } });
    both('context.protocol == "tcp"', { tcp: true }, {});
    both('context.protocol != "tcp"', {}, { tcp: true });
  });

  it('ask for tokens', () => {
    const claims = { iss: 'https://i', sub: 's', aud: 'a', azp: 'p', email: 'e' };
    const other = { iss: 'https://i', sub: 't', aud: 'b', azp: 'q', email: 'f' };
    both('request.auth.principal == "https://i/s"', { claims }, { claims: other });
    both('request.auth.audiences == "a"', { claims }, { claims: other });
    both('request.auth.presenter == "p"', { claims }, { claims: other });
    both('request.auth.claims["email"] == "e"', { claims }, { claims: other });
    both('(request.auth.principal | "nobody") == "nobody"', {}, { claims });
  });

  it('hold only of what is there', () => {
    const header = 'request.headers["a"] == "1"';
    allows({}, rule(`!(${header})`));
    allows({}, rule(`${header} || true`));
    denies({}, rule(`true || ${header}`));
    denies({ headers: { a: '2' } }, rule(`!(${header})`));
    denies({}, rule('(request.headers["a"] | request.headers["b"] | "1") == "1"'));
    denies({ headers: { b: '1' } }, rule('(request.headers["a"] | request.headers["b"]) == "1"'));
    allows(
      { headers: { a: '2', b: '1' } },
      rule('(request.headers["a"] | request.headers["b"]) == "1"'),
    );
    denies({}, rule('conditional(connection.mtls, "a", "b") == "b"'));
    allows({ caller: 'a/b' }, rule('conditional(connection.mtls, "a", "b") == "b"'));
    allows({ tcp: true }, rule('request.method != "PUT"'));
    allows({}, rule('response.code != 200'));
  });

  it('join', () => {
    const match =
      '(source.namespace == "a" || source.namespace == "b") && request.method != "GET" && !(request.url_path == "/ok")';
    denies({ caller: 'a/x', method: 'PUT' }, rule(match));
    denies({ caller: 'b/x', method: 'PUT' }, rule(match));
    allows({ caller: 'c/x', method: 'PUT' }, rule(match));
    allows({ caller: 'a/x', method: 'GET' }, rule(match));
    allows({ caller: 'a/x', method: 'PUT', target: '/ok' }, rule(match));
  });
});
