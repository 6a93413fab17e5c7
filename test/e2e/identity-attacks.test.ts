// The attacks on identities and keys, against a real server on its real port: none gets more than
// its own identity, each is counted and logged, and honest callers are served meanwhile.
import assert from 'node:assert/strict';
import { subtle, type webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { decodeJwt, SignJWT } from 'jose';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { encodeCertificateRequest } from '#caclient/ca-messages.ts';
import { parseCertificatesPem } from '#pki/certificate.ts';
import { encodePem } from '#pki/pem.ts';
import { bulwark } from '../kit/bulwark.ts';
import { CertificateCaller } from '../kit/certificate-caller.ts';
import type { ManagedProcess } from '../kit/child-process.ts';
import { GrpcTestClient } from '../kit/grpc-client.ts';
import { x509 } from '../kit/peculiar-x509.ts';
import { temporaryDirectory } from '../kit/temp-directory.ts';
import { waitUntil } from '../kit/wait-until.ts';

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const START_MS_MAX = 60_000;
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const OWN = 'spiffe://cluster.local/ns/default/sa/default';
const ADMIN = 'spiffe://cluster.local/ns/istio-system/sa/admin';
const FAULTS = 'bulwark_grpc_faulty_requests_total';
const STRANGERS = 'citadel_server_authentication_failure_count';
const FOREIGN_NAMES = 'bulwark_ca_csr_foreign_names_total';
const BAD_REQUESTS = 'citadel_server_csr_parsing_err_count';

type Extension = InstanceType<typeof x509.Extension>;
type Names = ConstructorParameters<typeof x509.SubjectAlternativeNameExtension>[0];

/** A request with these extensions, by another implementation. */
async function csrWith(...extensions: readonly Extension[]): Promise<string> {
  const usages: webcrypto.KeyUsage[] = ['sign', 'verify'];
  const keys = await subtle.generateKey(P256, true, usages);
  const request = { keys, signingAlgorithm: P256, extensions: [...extensions] };
  return (await x509.Pkcs10CertificateRequestGenerator.create(request)).toString('pem');
}
const named = (names: Names): Promise<string> =>
  csrWith(new x509.SubjectAlternativeNameExtension(names));
const url = (value: string) => ({ type: 'url', value }) as const;

/** What an attacker sees of a server, and what its operator does. */
class Target {
  readonly server: ManagedProcess;
  readonly caller: CertificateCaller;
  readonly kubeconfig: string;
  readonly #grpc: GrpcTestClient;
  readonly #metrics: string;

  private constructor(
    test: Pick<TestContext, 'after'>,
    { server, caller, data }: { server: ManagedProcess; caller: CertificateCaller; data: string },
  ) {
    this.server = server;
    this.caller = caller;
    this.kubeconfig = join(data, 'admin.kubeconfig');
    const addresses = JSON.parse(readFileSync(join(data, 'addresses.json'), 'utf8'));
    this.#metrics = `${addresses.monitoring}/metrics`;
    const root = credentials.createSsl(readFileSync(join(data, 'root-cert.pem')));
    const options = { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' };
    this.#grpc = new GrpcTestClient(test, String(addresses.discovery), root, options);
  }

  static async start(test: Pick<TestContext, 'after'>): Promise<Target> {
    const data = join(temporaryDirectory(test), 'data');
    const ports = ['--secure-port', '0', '--monitoring-port', '0'];
    const server = bulwark(['server', '--data', data, ...ports]);
    test.after(() => server.stop());
    await server.waitForLine((line) => line === 'ready' || undefined, START_MS_MAX);
    const caller = await CertificateCaller.connect(data);
    test.after(() => caller.close());
    return new Target(test, { server, caller, data });
  }

  /** Asks for a certificate; gives its URI names, or the status of the refusal. */
  async ask(csr: string, token: string): Promise<readonly string[] | number> {
    const request = encodeCertificateRequest({ csr, validitySeconds: 60 });
    const metadata = { authorization: `Bearer ${token}` };
    const { code, messages } = await this.#grpc.unary(METHOD, request, { metadata });
    if (code !== GRPC_STATUS.ok) return code;
    const pem = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/.exec(messages.join());
    const [leaf] = parseCertificatesPem(pem?.[0] ?? '');
    assert.equal(leaf?.isCa, false);
    assert.deepEqual([leaf?.names.dnsNames, leaf?.names.ipAddresses], [[], []]);
    return leaf?.names.uris ?? [];
  }

  /** The sum of a counter over its labels. */
  async count(name: string): Promise<number> {
    const text = await (await fetch(this.#metrics)).text();
    const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** That it happens `times` on a counter, with a line of log that has `said` in it. */
  async notes<T>(
    { counter, said, times = 1 }: { counter: string; said: string; times?: number },
    attack: () => Promise<T>,
  ): Promise<T> {
    const countBefore = await this.count(counter);
    const from = this.server.lines.length;
    const outcome = await attack();
    assert.equal((await this.count(counter)) - countBefore, times, counter);
    const isLogged = (): boolean => this.server.lines.slice(from).some((one) => one.includes(said));
    await waitUntil(isLogged, `a line with "${said}"`);
    return outcome;
  }
}

/** Counted and logged, and answered with the caller's own identity and nothing else. */
async function requestAttacks(t: TestContext, target: Target, token: string): Promise<void> {
  const own: Readonly<Record<string, () => Promise<string>>> = {
    'two URI names': () => named([url(OWN), url(ADMIN)]),
    'the URI name of another, first': () => named([url(ADMIN), url(OWN)]),
    'a DNS name and an address beside the identity': () =>
      named([
        url(OWN),
        { type: 'dns', value: 'istiod.istio-system.svc' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
    'a foreign trust domain': () => named([url('spiffe://evil.example/ns/default/sa/default')]),
    'a path that goes up': () => named([url(`${OWN}/../../../istio-system/sa/admin`)]),
    'a path with an escape': () => named([url(`${OWN}%2Fadmin`)]),
  };
  const said = 'names that its caller does not have';
  for (const [what, make] of Object.entries(own))
    await t.test(`a request with ${what} gets its caller's identity`, async () => {
      const csr = await make();
      const notes = { counter: FOREIGN_NAMES, said };
      const names = await target.notes(notes, () => target.ask(csr, token));
      assert.deepEqual(names, [OWN]);
    });

  const nothing: Readonly<Record<string, () => Promise<string>>> = {
    'CA:TRUE': () => csrWith(new x509.BasicConstraintsExtension(true, 1, true)),
    'a NUL in a name': () => named([url(`${OWN}\u0000.evil`)]),
    'nothing in it': async () => '',
    'a megabyte of nothing': async () => encodePem('CERTIFICATE REQUEST', Buffer.alloc(700_000)),
  };
  for (const [what, make] of Object.entries(nothing))
    await t.test(`a request with ${what} gets nothing`, async () => {
      const csr = await make();
      const notes = { counter: BAD_REQUESTS, said: 'certificate refused' };
      const status = await target.notes(notes, () => target.ask(csr, token));
      assert.equal(status, GRPC_STATUS.invalidArgument);
    });

  await t.test('a request of 10 MB gets nothing, and is not read to its end', async () => {
    const csr = encodePem('CERTIFICATE REQUEST', Buffer.alloc(7_500_000));
    const notes = { counter: FAULTS, said: 'broke the protocol or a limit' };
    const status = await target.notes(notes, () => target.ask(csr, token));
    assert.equal(status, GRPC_STATUS.resourceExhausted);
  });
}

/** Tokens that prove nothing. */
async function tokenAttacks(t: TestContext, target: Target, token: string): Promise<void> {
  const csr = await csrWith();
  const [header = '', payload = '', signature = ''] = token.split('.');
  const claims = decodeJwt(token);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const { body } = await target.caller.api.send({ method: 'GET', path: '/openid/v1/jwks' });
  const publicKey = new TextEncoder().encode(JSON.stringify(body));
  const confused = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(publicKey);
  const admin = { ...claims, sub: 'system:serviceaccount:istio-system:admin' };
  const attacks: Readonly<Record<string, string>> = {
    'alg: none': `${part({ alg: 'none' })}.${payload}.`,
    'alg: none and its signature': `${part({ alg: 'none' })}.${payload}.${signature}`,
    'a key that is none of ours': await confused,
    'the claims of another account': `${header}.${part(admin)}.${signature}`,
    'no signature': `${header}.${payload}.`,
    'the audience of the API': await target.caller.requestToken('https://kubernetes.default.svc'),
    'nothing in it': '',
  };
  const notes = { counter: STRANGERS, said: 'caller unknown' };
  for (const [what, bad] of Object.entries(attacks))
    await t.test(`a token with ${what} proves nothing`, async () => {
      const status = await target.notes(notes, () => target.ask(csr, bad));
      assert.equal(status, GRPC_STATUS.unauthenticated);
    });

  await t.test(
    'a token of an account that is gone proves nothing, also when it is back',
    async () => {
      const account = '/api/v1/namespaces/default/serviceaccounts';
      const { api } = target.caller;
      const metadata = { name: 'brief', namespace: 'default' };
      const object = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
      await api.expect({ method: 'POST', path: account, body: object });
      const brief = await target.caller.requestToken('istio-ca', 'brief');
      assert.deepEqual(await target.ask(csr, brief), [OWN.replace(/default$/, 'brief')]);
      await api.expect({ method: 'DELETE', path: `${account}/brief` });
      await api.expect({ method: 'POST', path: account, body: object });
      const status = await target.notes(notes, () => target.ask(csr, brief));
      assert.equal(status, GRPC_STATUS.unauthenticated);
    },
  );
}

test('attacks on identities and keys', { timeout: 240_000 }, async (t) => {
  const target = await Target.start(t);
  const token = await target.caller.requestToken();
  assert.deepEqual(await target.ask(await csrWith(), token), [OWN]);
  await requestAttacks(t, target, token);
  await tokenAttacks(t, target, token);

  await t.test('of ten that join by one token at once, one gets in', async () => {
    const data = ['join', 'create', '-n', 'default', '--service-account', 'default'];
    const command = bulwark([...data, '--kubeconfig', target.kubeconfig]);
    t.after(() => command.stop());
    await command.ended;
    const joinToken = command.lines.find((line) => line.startsWith('bwj_')) ?? '';
    const csr = await csrWith();
    const notes = { counter: STRANGERS, said: 'certificate refused', times: 9 };
    const ten = Array.from({ length: 10 }, () => joinToken);
    const outcomes = await target.notes(notes, () =>
      Promise.all(ten.map((one) => target.ask(csr, one))),
    );
    assert.equal(outcomes.filter((one) => one === GRPC_STATUS.unauthenticated).length, 9);
  });

  await t.test('in a flood of strangers, an honest caller gets its certificate', async () => {
    const csr = await csrWith();
    const times = 1000;
    const before = await target.count(STRANGERS);
    const from = target.server.lines.length;
    const flood = Array.from({ length: times }, () => target.ask(csr, 'stranger'));
    assert.deepEqual(await target.ask(csr, token), [OWN]);
    for (const status of await Promise.all(flood))
      assert.equal(status, GRPC_STATUS.unauthenticated);
    assert.equal((await target.count(STRANGERS)) - before, times);
    // What was left out of the log in one second is told with the first line of the next.
    const lines = () =>
      target.server.lines.slice(from).filter((line) => line.includes('caller unknown'));
    await waitUntil(
      async () => {
        await target.ask(csr, 'stranger');
        return lines().some((line) => line.includes('leftOut'));
      },
      'a line that says how many were left out',
      { everyMs: 100 },
    );
    assert.ok(lines().length < times / 4, `${lines().length} lines of log`);
  });

  await t.test('everything is as before', async () => {
    assert.deepEqual(await target.ask(await csrWith(), token), [OWN]);
    assert.equal(target.server.exit, undefined);
  });
});
