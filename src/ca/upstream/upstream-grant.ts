import type { Clock } from '#base/clock.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import { intermediateName } from '#ca/intermediate-name.ts';
import { CERTIFICATE_BACKDATE_MS } from '#ca/issuer.ts';
import { type CaSet, parseCaSet } from '#ca/plugged-in/ca-set.ts';
import { encodeListOffer } from '#ca/sites/list-messages.ts';
import {
  filesOf,
  isUnsound,
  type Standing,
  splitAnswer,
  type UpstreamGrant,
} from '#ca/upstream/upstream-files.ts';
import type { CaCredential, CertificateAuthority } from '#caclient/ca-client.ts';
import { keyIdOf } from '#pki/build-certificate.ts';
import { buildCrl } from '#pki/build-crl.ts';
import { buildCsr } from '#pki/csr.ts';
import { generateKeyPair, type KeyPair, privateKeyToPem } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';
import { type TrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';

export interface GrantOptions {
  readonly trustDomain: TrustDomain;
  /** HOST:PORT of the server above, for messages. */
  readonly address: string;
}

export interface GrantDeps {
  readonly client: CertificateAuthority;
  readonly credential: () => Promise<CaCredential>;
  readonly clock: Clock;
}

/** A grant that passed every check, and the authority that it makes. */
export interface SoundGrant {
  readonly grant: UpstreamGrant;
  readonly set: CaSet;
}

/** Longer than any certificate that the authority signs: its own lists follow in a moment. */
const FIRST_LIST_MS = 92 * 24 * 3_600_000;

/**
 * A new key, and a certificate for it from the server above. The first list of the key, which names
 * nobody, goes along: so there is no moment at which the authority is in use and has none.
 * @throws BulwarkError CA_UPSTREAM_FAILED that says what to mend
 */
export async function obtainGrant(
  { trustDomain, address }: GrantOptions,
  deps: GrantDeps,
): Promise<SoundGrant> {
  const keys = generateKeyPair();
  const names = { trustDomain, namespace: 'istio-system', serviceAccount: 'bulwark' };
  const csr = buildCsr(workloadSpiffeId(names), keys);
  const pem = firstList(keys, deps.clock.now());
  const lists = encodeListOffer({ lists: [pem], known: '', isWaiting: false, isArriving: true });
  const answer = await asking(deps, (credential) =>
    deps.client.sign({ csr, validitySeconds: 0, authority: 'intermediate', lists }, credential),
  );
  const obtainedAt = deps.clock.now();
  const privateKey = privateKeyToPem(keys.privateKey).reveal();
  const grant = { ...splitAnswer(answer), privateKey, obtainedAt };
  try {
    return { grant, set: parseCaSet(filesOf(grant), { at: obtainedAt, trustDomain }) };
  } catch (cause) {
    if (!isUnsound(cause)) throw cause;
    const message = `what the authority at ${address} gave cannot be used: ${describeError(cause)}`;
    throw new BulwarkError('CA_UPSTREAM_FAILED', message, {
      remedy: 'both servers need the same trustDomain, and the one above must be a Bulwark',
      cause,
    });
  }
}

function firstList({ publicKey, privateKey }: KeyPair, now: number): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const issuer = { name: intermediateName(spki), privateKey, keyId: keyIdOf(spki) };
  const thisUpdateAt = now - CERTIFICATE_BACKDATE_MS;
  const template = { number: 1, thisUpdateAt, nextUpdateAt: now + FIRST_LIST_MS, revoked: [] };
  return encodePem('X509 CRL', buildCrl(template, issuer));
}

/**
 * The roots that the server above trusts, PEM, the active one first.
 * @param site what it is told of this mesh
 * @throws BulwarkError CA_UPSTREAM_FAILED that says what to mend
 */
export async function askRoots(deps: GrantDeps, site: string): Promise<string> {
  const request = { csr: '', validitySeconds: 0, authority: 'roots', site } as const;
  const answer = await asking(deps, (credential) => deps.client.sign(request, credential));
  const [roots, ...more] = answer;
  if (roots !== undefined && more.length === 0) return roots;
  throw new BulwarkError('CA_UPSTREAM_FAILED', 'the upstream authority did not name its roots', {
    remedy: 'check that upstreamCa is a Bulwark server',
  });
}

/** Which root an authority stands on. */
export function standingOf({ signer, roots }: CaSet): Standing {
  return {
    authority: signer.issuers[0].subjectKeyId ?? '',
    root: roots[0].subjectKeyId ?? '',
  };
}

/** Says what an operator can mend, whatever was wrong. */
export async function asking<T>(
  { credential }: Pick<GrantDeps, 'credential'>,
  ask: (credential: CaCredential) => Promise<T>,
): Promise<T> {
  try {
    return await ask(await credential());
  } catch (cause) {
    if (!(cause instanceof BulwarkError) || cause.code === 'CA_UPSTREAM_FAILED') throw cause;
    const isUnknown = cause.code === 'CA_UNAUTHENTICATED';
    const remedy = isUnknown
      ? 'renew the token or the certificate of this server; the log of the server above says why'
      : (cause.remedy ?? 'name this server in intermediateAuthorities of the server above');
    throw new BulwarkError('CA_UPSTREAM_FAILED', cause.message, {
      remedy,
      data: cause.data,
      cause,
    });
  }
}
