import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createAgentMetrics } from '#agent/metrics.ts';
import { explainRefusedToken } from '#agent/tokens/token-claims.ts';
import { TokenFile } from '#agent/tokens/token-file.ts';
import { TokenRequest } from '#agent/tokens/token-request.ts';
import { isBulwarkError } from '#base/errors.ts';
import { createLogger, silentLogger } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { FakeAuthority } from '../../../test/fakes/fake-authority.ts';
import { FakeClock } from '../../../test/fakes/fake-clock.ts';
import { temporaryDirectory } from '../../../test/kit/temp-directory.ts';

const TOKEN = 'aGVhZGVy.e30.c2ln';

describe('a token file', () => {
  it('is read again for each use', async (t) => {
    const path = join(temporaryDirectory(t), 'token');
    writeFileSync(path, `${TOKEN}\n`, { mode: 0o600 });
    const source = new TokenFile(path, { log: silentLogger });
    assert.equal((await source.token()).reveal(), TOKEN);
    writeFileSync(path, 'b.b.b');
    assert.equal((await source.token()).reveal(), 'b.b.b');
  });

  it('that everybody may read is used, with one warning', async (t) => {
    const path = join(temporaryDirectory(t), 'token');
    writeFileSync(path, TOKEN);
    chmodSync(path, 0o644);
    const lines: string[] = [];
    const log = createLogger({ level: 'info', sink: { write: (line) => lines.push(line) } });
    const source = new TokenFile(path, { log });
    await source.token();
    await source.token();
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /chmod 600/);
    assert.doesNotMatch(lines[0] ?? '', new RegExp(TOKEN));
  });

  it('that is missing, empty, too long or no token is refused by name', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'token');
    const source = new TokenFile(path, { log: silentLogger });
    const isRefused = (error: unknown): boolean =>
      isBulwarkError(error, 'AGENT_TOKEN_UNREADABLE') && error.message.includes(path);
    await assert.rejects(source.token(), isRefused);
    for (const content of ['', 'no token', 'a.b', `${'a'.repeat(20_000)}.b.c`, 'a.b.c\na.b.c']) {
      writeFileSync(path, content);
      await assert.rejects(source.token(), isRefused);
    }
    const folder = new TokenFile(directory, { log: silentLogger });
    await assert.rejects(folder.token(), (error) =>
      isBulwarkError(error, 'AGENT_TOKEN_UNREADABLE'),
    );
  });
});

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Seen {
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: { readonly spec: { audiences: string[]; expirationSeconds: number } };
}

/**
 * An API server that answers each request with the next of `answers`, and the kubeconfig for it.
 */
async function apiServer(t: TestContext, answers: Answer[]) {
  const clock = new FakeClock(Date.now());
  const authority = new FakeAuthority(clock);
  const { privateKeyPem, certificatePem } = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const seen: Seen[] = [];
  const server: Server = createServer(
    { key: privateKeyPem.reveal(), cert: certificatePem },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString() || 'null') as Seen['body'];
        const { authorization } = request.headers;
        seen.push({ url: request.url ?? '', authorization, body });
        const answer = answers.shift() ?? { status: 500, body: {} };
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer.body));
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const kubeconfig = join(temporaryDirectory(t), 'kubeconfig');
  const ca = Buffer.from(authority.rootPem).toString('base64');
  writeFileSync(
    kubeconfig,
    `{apiVersion: v1, kind: Config, current-context: c,
  contexts: [{name: c, context: {cluster: c, user: u}}],
  clusters: [{name: c, cluster: {server: "https://127.0.0.1:${port}",
    certificate-authority-data: ${ca}}}],
  users: [{name: u, user: {token: admin}}]}`,
  );
  const source = new TokenRequest(
    { kubeconfig, namespace: 'photo-ns', serviceAccount: 'web', audience: 'istio-ca' },
    { clock, metrics: createAgentMetrics(new Metrics()) },
  );
  return { clock, seen, source, server };
}

function granted(clock: FakeClock, token: string): Answer {
  const expirationTimestamp = new Date(clock.now() + 600_000).toISOString();
  return { status: 201, body: { status: { token, expirationTimestamp } } };
}

describe('a token request', () => {
  it('asks for a short token for the authority, and keeps it while it is good', async (t) => {
    const answers: Answer[] = [];
    const { clock, seen, source } = await apiServer(t, answers);
    answers.push(granted(clock, 'one'), granted(clock, 'two'), granted(clock, 'three'));
    assert.equal((await source.token()).reveal(), 'one');
    assert.equal((await source.token()).reveal(), 'one');
    assert.equal(seen[0]?.url, '/api/v1/namespaces/photo-ns/serviceaccounts/web/token');
    assert.equal(seen[0]?.authorization, 'Bearer admin');
    assert.deepEqual(seen[0]?.body.spec, { audiences: ['istio-ca'], expirationSeconds: 600 });
    clock.advance(481_000);
    assert.equal((await source.token()).reveal(), 'two');
    source.wasRefused();
    assert.equal((await source.token()).reveal(), 'three');
  });

  it('that is refused says what to do', async (t) => {
    const { source } = await apiServer(t, [
      { status: 404, body: { message: 'serviceaccounts "web" not found' } },
      { status: 200, body: { resources: [{ name: 'serviceaccounts/token' }] } },
      { status: 403, body: { message: 'forbidden' } },
      { status: 200, body: { status: {} } },
      { status: 200, body: { status: { token: 'x', expirationTimestamp: 'soon' } } },
    ]);
    const expected = [/kubectl create serviceaccount web -n photo-ns/, /serviceaccounts\/token/];
    for (const remedy of [...expected, /Kubernetes API server/, /Kubernetes API server/]) {
      await assert.rejects(
        source.token(),
        (error) => isBulwarkError(error, 'AGENT_TOKEN_REFUSED') && remedy.test(error.remedy ?? ''),
      );
    }
  });

  it('to an API server that gives none for an audience says so', async (t) => {
    const { source, seen } = await apiServer(t, [
      { status: 404, body: { message: 'the server could not find the requested resource' } },
      { status: 200, body: { resources: [{ name: 'serviceaccounts' }] } },
    ]);
    await assert.rejects(source.token(), /gives no tokens for an audience/);
    assert.equal(seen[1]?.url, '/api/v1');
  });

  it('fails when nobody answers, and works again when somebody does', async (t) => {
    const answers: Answer[] = [];
    const { clock, source, server } = await apiServer(t, answers);
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(source.token(), (error) => isBulwarkError(error, 'AGENT_TOKEN_REFUSED'));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    answers.push(granted(clock, 'one'));
    assert.equal((await source.token()).reveal(), 'one');
  });
});

describe('a refused token', () => {
  const expected = { audience: 'istio-ca', namespace: 'a', serviceAccount: 'b', at: 1_000_000 };
  const explain = (claims: unknown): string | undefined =>
    explainRefusedToken(
      `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`,
      expected,
    );
  const right = { exp: 2000, aud: ['istio-ca'], sub: 'system:serviceaccount:a:b' };

  it('is explained by its claims', () => {
    assert.match(explain({ ...right, exp: 900 }) ?? '', /expired 100 s ago/);
    assert.match(explain({ ...right, aud: 'api' }) ?? '', /audience is api, not istio-ca/);
    assert.match(explain({ ...right, sub: 'system:serviceaccount:a:c' }) ?? '', /a:c, not .*a:b/);
    assert.match(explainRefusedToken('nonsense', expected) ?? '', /no JSON Web Token/);
  });

  it('whose claims look right is not explained', () => {
    assert.equal(explain(right), undefined);
  });
});
