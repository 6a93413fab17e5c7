import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_PATHS, type RootsView } from '#admin/contract.ts';
import { systemClock } from '#base/clock.ts';
import { Secret } from '#base/secret.ts';
import { CaClient } from '#caclient/ca-client.ts';
import { KubeClient } from '#kubeclient/kube-client.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { type Certificate, parseCertificatesPem } from '#pki/certificate.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair, type KeyPair, privateKeyToPem } from '#pki/keys.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import type { TestCertificate } from './test-authority.ts';
import { TEST_TRUST_DOMAIN } from './test-root.ts';

const REVOCATIONS = '/apis/bulwark.mesh/v1alpha1/certificaterevocations';
/** An account that every server has. */
const IDENTITY = parseSpiffeId(`spiffe://${TEST_TRUST_DOMAIN}/ns/default/sa/default`);

/**
 * Who has a running server sign, revoke and rotate: a caller with the token of an account, and an
 * administrator.
 */
export class CertificateCaller {
  /** The API as its administrator. */
  readonly api: KubeClient;
  readonly #authority: CaClient;
  #token: Secret<string> | undefined;

  private constructor(api: KubeClient, authority: CaClient) {
    this.api = api;
    this.#authority = authority;
  }

  /** @param data the data folder of a server that runs */
  static async connect(data: string): Promise<CertificateCaller> {
    const api = new KubeClient(await readKubeconfig(join(data, 'admin.kubeconfig')));
    const { discovery } = JSON.parse(readFileSync(join(data, 'addresses.json'), 'utf8'));
    const authority = new CaClient(
      {
        address: String(discovery),
        serverName: 'istiod.istio-system.svc',
        rootFile: join(data, 'root-cert.pem'),
      },
      { clock: systemClock },
    );
    return new CertificateCaller(api, authority);
  }

  /** A new certificate for a key, by a token: that of the account when none is given. */
  async sign(keys = generateKeyPair(), token?: string): Promise<Certificate> {
    const [leaf = ''] = await this.#chain(keys, token);
    return parseCertificatesPem(leaf)[0] ?? assert.fail('no certificate');
  }

  /** A new certificate with its key and those above it, as somebody shows it. */
  async certificate(): Promise<TestCertificate & { readonly serial: string }> {
    const keys = generateKeyPair();
    const chain = await this.#chain(keys);
    const certificate = chain.slice(0, -1).join('');
    const [leaf = assert.fail('no certificate')] = parseCertificatesPem(certificate);
    const privateKey = privateKeyToPem(keys.privateKey).reveal();
    return { certificate, privateKey, serial: leaf.serial };
  }

  async #chain(keys: KeyPair, token?: string): Promise<readonly string[]> {
    this.#token ??= new Secret(await this.requestToken());
    const csr = buildCsr(IDENTITY, keys);
    const proof = token === undefined ? this.#token : new Secret(token);
    return this.#authority.sign({ csr, validitySeconds: 3600 }, proof);
  }

  /** Revokes a certificate. */
  async revoke(name: string, serial: string): Promise<void> {
    const body = {
      apiVersion: 'bulwark.mesh/v1alpha1',
      kind: 'CertificateRevocation',
      metadata: { name },
      spec: { serial },
    };
    await this.api.expect({ method: 'POST', path: REVOCATIONS, body });
  }

  /** Takes a revocation back. */
  async unrevoke(name: string): Promise<void> {
    await this.api.expect({ method: 'DELETE', path: `${REVOCATIONS}/${name}` });
  }

  /** The roots of the mesh. */
  async roots(): Promise<RootsView> {
    return (await this.api.expect({ method: 'GET', path: ADMIN_PATHS.roots })) as RootsView;
  }

  /** Takes a step of the rotation. */
  async rotate(step: RootsView['next']): Promise<RootsView> {
    const body = { step, leaveBehind: [] };
    return (await this.api.expect({
      method: 'POST',
      path: ADMIN_PATHS.roots,
      body,
    })) as RootsView;
  }

  /** Closes its connections. */
  close(): void {
    this.api.close();
    this.#authority.close();
  }

  /** A token of an account, for the authority unless said otherwise. */
  async requestToken(audience = 'istio-ca', name = 'default'): Promise<string> {
    const account = `/api/v1/namespaces/default/serviceaccounts/${name}`;
    const answer = (await this.api.expect({
      method: 'POST',
      path: `${account}/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [audience], expirationSeconds: 600 },
      },
    })) as { readonly status: { readonly token: string } };
    return answer.status.token;
  }
}
