import { present } from '#base/assert.ts';
import type { Clock } from '#base/clock.ts';
import { formatDurationMs } from '#base/duration.ts';
import { BulwarkError } from '#base/errors.ts';
import type { RandomSource } from '#base/random.ts';
import { SerialNumbers, serialPrefix } from '#ca/serial.ts';
import { SignatureBudget } from '#ca/signature-budget.ts';
import type { LeafTemplate, Signer } from '#ca/signer.ts';
import { verifyIssued } from '#ca/verify-issued.ts';
import type { Certificate } from '#pki/certificate.ts';
import type { TlsPurpose } from '#pki/extensions.ts';
import { encodePem, type PemText } from '#pki/pem.ts';
import { importPublicKey, type PublicKey, parsePublicKey } from '#pki/public-key.ts';
import { signatureVerifies } from '#pki/signature.ts';
import { canonicalIp, isDnsName, type SubjectAltNames } from '#pki/subject-alt-name.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** How long certificates live. */
export interface IssuerOptions {
  /** When the request names no lifetime, milliseconds. */
  readonly ttlMs: number;
  /** The longest that may be asked for, milliseconds. */
  readonly ttlMsMax: number;
}

/** What an Issuer needs. */
export interface IssuerDeps {
  /** Who signs now; asked before each certificate, so that another may take over at any time. */
  readonly signer: () => Signer;
  /**
   * The roots that go with each certificate, PEM: all that peers are to trust. The root of the
   * signer alone when left out.
   */
  readonly trustBundle?: () => PemText;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** A certificate for a workload. */
export interface WorkloadRequest {
  /** Who the caller was proven to be. */
  readonly identity: SpiffeId;
  /** From a Csr, which proves that the caller holds the private key. */
  readonly publicKey: PublicKey;
  /** Milliseconds; the default when it is not above 0. */
  readonly ttlMs: number;
}

/** A certificate for a server of the control plane. */
export interface ServerRequest {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly publicKey: PublicKey;
  /** Milliseconds; cut to the life of the issuer. */
  readonly ttlMs: number;
}

/** What was issued. */
export interface IssuedCertificate {
  readonly certificate: Certificate;
  /** PEM, one certificate in each: the new one first; the last text holds the roots. */
  readonly chain: readonly PemText[];
}

/**
 * Milliseconds that certificates begin before they are made, for clocks that are a little behind
 * ours (as istiod).
 */
export const CERTIFICATE_BACKDATE_MS = 120_000;
const WORKLOAD_PURPOSES: readonly TlsPurpose[] = ['serverAuth', 'clientAuth'];
const SERVER_PURPOSES: readonly TlsPurpose[] = ['serverAuth'];

/**
 * Decides what a certificate says, has it signed, and lets it out only after it was read back and
 * checked. Nothing of a request but the public key and the wish for a lifetime gets into a
 * certificate.
 */
export class Issuer {
  readonly #options: IssuerOptions;
  readonly #deps: IssuerDeps;
  readonly #serials: SerialNumbers;
  readonly #budget: SignatureBudget;
  readonly #known = new WeakMap<Signer, SignerState>();

  constructor(options: IssuerOptions, deps: IssuerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#serials = new SerialNumbers(deps.random);
    this.#budget = new SignatureBudget(deps);
    this.#signing();
  }

  /** The root above what is issued now, PEM. */
  get trustBundle(): PemText {
    return present(this.#signing().chain.at(-1), 'root of the signer');
  }

  /**
   * @throws BulwarkError CA_TTL_TOO_LONG, CA_KEY_UNUSABLE (the issuer expired), CA_SIGN_FAILED
   */
  async issueForWorkload({
    identity,
    publicKey,
    ttlMs,
  }: WorkloadRequest): Promise<IssuedCertificate> {
    const { ttlMs: ttlMsDefault, ttlMsMax } = this.#options;
    if (ttlMs > ttlMsMax) {
      const [asked, most] = [ttlMs, ttlMsMax].map(formatDurationMs);
      throw new BulwarkError(
        'CA_TTL_TOO_LONG',
        `requested TTL ${asked} is greater than the max allowed TTL ${most}`,
        { remedy: 'ask for less, or raise the setting workloadCertTtlMax' },
      );
    }
    const names = { uris: [identity], dnsNames: [], ipAddresses: [], othersCount: 0 };
    const lifeMs = ttlMs > 0 ? ttlMs : ttlMsDefault;
    return this.#issue(lifeMs, names, WORKLOAD_PURPOSES, publicKey);
  }

  /**
   * @throws BulwarkError PKI_MALFORMED for a name that is no DNS name, CA_KEY_UNUSABLE,
   *   CA_SIGN_FAILED
   */
  async issueForServer(request: ServerRequest): Promise<IssuedCertificate> {
    const { dnsNames, ipAddresses, publicKey, ttlMs } = request;
    const wrong = dnsNames.find((name) => !isDnsName(name));
    if (wrong !== undefined)
      throw new BulwarkError('PKI_MALFORMED', `${JSON.stringify(wrong)} is no DNS name`);
    const names = { uris: [], dnsNames, ipAddresses: ipAddresses.map(canonicalIp), othersCount: 0 };
    return this.#issue(ttlMs, names, SERVER_PURPOSES, publicKey);
  }

  /** The current signer and what is known of it. */
  #signing(): SignerState {
    const signer = this.#deps.signer();
    const known = this.#known.get(signer);
    if (known) return known;
    const state = stateOf(signer);
    this.#known.set(signer, state);
    return state;
  }

  /** With serial and validity; the end never lies behind that of the issuer. */
  #template(
    ttlMs: number,
    names: SubjectAltNames,
    purposes: readonly TlsPurpose[],
    { publicKey, state }: { readonly publicKey: PublicKey; readonly state: SignerState },
  ): LeafTemplate {
    const { endAt } = state;
    const now = this.#deps.clock.now();
    if (now >= endAt) {
      throw new BulwarkError('CA_KEY_UNUSABLE', 'the certificate of the authority has expired', {
        remedy: 'replace the root, or set the clock right',
        data: { notAfter: new Date(endAt).toISOString() },
      });
    }
    return {
      serial: this.#serials.next(state.serialPrefix),
      notBeforeAt: wholeSeconds(now - CERTIFICATE_BACKDATE_MS),
      notAfterAt: wholeSeconds(Math.min(now + ttlMs, endAt)),
      names,
      purposes,
      publicKey,
    };
  }

  async #issue(
    ttlMs: number,
    names: SubjectAltNames,
    purposes: readonly TlsPurpose[],
    publicKey: PublicKey,
  ): Promise<IssuedCertificate> {
    const state = this.#signing();
    const { signer, chain } = state;
    if (state.isHalted) {
      throw new BulwarkError('CA_SIGN_FAILED', 'signing has stopped after a wrong signature', {
        remedy: 'check the machine and the key, then restart the server',
      });
    }
    const template = this.#template(ttlMs, names, purposes, { publicKey, state });
    const der = await signer.sign(template);
    const certificate = verifyIssued(der, template, signer.issuers[0]);
    if (this.#budget.takes()) verifyOrHalt(certificate, state);
    const roots = this.#deps.trustBundle?.() ?? present(chain.at(-1), 'root of the signer');
    return { certificate, chain: [encodePem('CERTIFICATE', der), ...chain.slice(0, -1), roots] };
  }
}

/** What is worked out once for each signer. */
interface SignerState {
  readonly signer: Signer;
  /** The first moment at which a certificate above the leaves is no longer valid. */
  readonly endAt: number;
  /** What serials begin with; '' below a root, whose serials need not be told from others. */
  readonly serialPrefix: string;
  readonly key: PublicKey;
  /** The certificates above the leaves, PEM, the root last. */
  readonly chain: readonly PemText[];
  /** Set when a signature did not verify: nothing is signed with that key again by this process. */
  isHalted: boolean;
}

function stateOf(signer: Signer): SignerState {
  const { issuers } = signer;
  return {
    signer,
    endAt: Math.min(...issuers.map(({ notAfterAt }) => notAfterAt)),
    serialPrefix: issuers.length > 1 ? serialPrefix(issuers[0]) : '',
    key: importPublicKey(parsePublicKey(issuers[0].spki)),
    chain: issuers.map(({ der }) => encodePem('CERTIFICATE', der)),
    isHalted: false,
  };
}

function verifyOrHalt(certificate: Certificate, state: SignerState): void {
  const { tbs, signature, signatureAlgorithm, serial } = certificate;
  if (signatureVerifies(tbs, signature, signatureAlgorithm, state.key)) return;
  state.isHalted = true;
  throw new BulwarkError('CA_SIGN_FAILED', 'the signature on a certificate does not verify', {
    remedy: 'check the machine and the key, then restart the server',
    data: { serial },
  });
}

function wholeSeconds(atMs: number): number {
  return Math.floor(atMs / 1000) * 1000;
}
