import type { Clock } from '#base/clock.ts';
import { BulwarkError, isBulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { RandomSource } from '#base/random.ts';
import { intermediateName } from '#ca/intermediate-name.ts';
import { CERTIFICATE_BACKDATE_MS } from '#ca/issuer.ts';
import { SerialNumbers } from '#ca/serial.ts';
import type { IntermediateTemplate, Signer } from '#ca/signer.ts';
import type { SiteLists } from '#ca/sites/site-lists.ts';
import { readSiteReport } from '#ca/sites/site-report.ts';
import type { Sites } from '#ca/sites/sites.ts';
import { type Certificate, parseCertificate } from '#pki/certificate.ts';
import { verifySignature } from '#pki/chain.ts';
import { KEY_USAGE } from '#pki/extensions.ts';
import { encodePem, type PemText } from '#pki/pem.ts';
import type { PublicKey } from '#pki/public-key.ts';
import type { SpiffeId, TrustDomain } from '#spiffe/spiffe-id.ts';

export interface IntermediatesOptions {
  /** Who may have one; nobody when empty. */
  readonly identities: ReadonlySet<SpiffeId>;
  /** The only domains whose identities they may sign. */
  readonly trustDomains: readonly TrustDomain[];
  /** How long they live, milliseconds; cut to the life of the issuer. */
  readonly ttlMs: number;
}

export interface IntermediatesDeps {
  readonly signer: () => Signer;
  /** The roots that go with each, PEM, the active one first. */
  readonly trustBundle: () => PemText;
  /** Who has an authority below this one. */
  readonly sites: Pick<Sites, 'certified' | 'heard'>;
  /** Their revocation lists. */
  readonly lists: Pick<SiteLists, 'exchange'>;
  /** The roots as certificates. */
  readonly roots: () => readonly Certificate[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: RandomSource;
}

/** A server below that asks for the roots. */
export interface SiteLook {
  readonly identity: SpiffeId;
  /** What it says of its mesh (`SiteReport`); '' from older servers. */
  readonly report: string;
  /** The client certificate, DER, when that is its proof. */
  readonly proof: Uint8Array | undefined;
}

/** A server below that sends its lists. */
export interface ListExchange {
  readonly identity: SpiffeId;
  /** What it sends (`ListOffer`). */
  readonly text: string;
  /** Aborts when it does not wait any more. */
  readonly signal: AbortSignal;
}

/** A server below that asks for an authority. */
export interface IntermediateRequest {
  readonly identity: SpiffeId;
  /** The key whose possession it proved. */
  readonly publicKey: PublicKey;
  /** A `ListOffer` with the first list of that key; '' from older servers. */
  readonly lists: string;
  /** Aborts when it does not wait any more. */
  readonly signal: AbortSignal;
}

/** The certificate of an authority below this one. */
export interface IssuedIntermediate {
  readonly certificate: Certificate;
  /** PEM: the new one, those above it, and the roots in the last text. */
  readonly chain: readonly PemText[];
}

/**
 * Certificates for servers below this one (ADR 14): each is bound to the trust domains of the mesh
 * and may have no authority below it. Whoever has one can be everybody in the mesh, so only those
 * who are named get one.
 */
export class Intermediates {
  readonly #options: IntermediatesOptions;
  readonly #deps: IntermediatesDeps;
  readonly #serials: SerialNumbers;

  constructor(options: IntermediatesOptions, deps: IntermediatesDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#serials = new SerialNumbers(deps.random);
  }

  /**
   * The roots alone, for a server below that asks whether they have changed. What it says of its
   * mesh counts only if it is not another server below that speaks in its name.
   * @throws BulwarkError CA_INTERMEDIATE_REFUSED, CA_CSR_INVALID (the report)
   */
  rootsFor({ identity, report, proof }: SiteLook): PemText {
    this.#check(identity);
    const read = readSiteReport(report);
    if (!proof || this.#isOwn(proof)) this.#deps.sites.heard(identity, read);
    return this.#deps.trustBundle();
  }

  /**
   * Takes the revocation lists of a server below, and gives those of the others.
   * @throws BulwarkError CA_INTERMEDIATE_REFUSED, CA_LISTS_REFUSED
   */
  async listsFor({ identity, text, signal }: ListExchange): Promise<string> {
    this.#check(identity);
    return this.#deps.lists.exchange(identity, text, signal);
  }

  /**
   * Where it comes with its first list, the certificate leaves when that is known: in the workloads
   * of this mesh, or after eight seconds.
   * @throws BulwarkError CA_INTERMEDIATE_REFUSED, CA_KEY_UNUSABLE (the issuer expired),
   *   CA_SIGN_FAILED
   */
  async issue(request: IntermediateRequest): Promise<IssuedIntermediate> {
    this.#check(request.identity);
    const signer = this.#deps.signer();
    const { issuers } = signer;
    const tooShort = issuers.find(({ pathLength }, above) => (pathLength ?? above + 1) <= above);
    if (!signer.signIntermediate || tooShort) {
      throw refused('the authority of this server may have none below it', {
        remedy: 'give it a certificate whose path length allows one more, or ask the root itself',
      });
    }
    const template = this.#template(request.publicKey, issuers);
    const der = await signer.signIntermediate(template);
    const certificate = verified(der, template, issuers[0]);
    const above = issuers.slice(0, -1).map((one) => encodePem('CERTIFICATE', one.der));
    await this.#deps.sites.certified(request.identity, [certificate, ...issuers]);
    if (request.lists !== '') await this.#takeFirstList(request);
    const chain = [encodePem('CERTIFICATE', der), ...above, this.#deps.trustBundle()];
    return { certificate, chain };
  }

  /** One that cannot be taken holds back those of all others until the site sends another. */
  async #takeFirstList({ identity, lists: text, signal }: IntermediateRequest): Promise<void> {
    const { lists, log } = this.#deps;
    try {
      await lists.exchange(identity, text, signal);
    } catch (error) {
      if (!isBulwarkError(error, 'CA_LISTS_REFUSED')) throw error;
      log.warn('the first revocation list of an authority is not taken', { identity, error });
    }
  }

  /**
   * Checks that the certificate of a caller came from this server itself. Whoever has an authority
   * below can make one for any identity, and must not become another site by that.
   * @param der the client certificate, which TLS verified
   * @throws BulwarkError CA_INTERMEDIATE_REFUSED
   */
  checkProof(der: Uint8Array): void {
    if (this.#isOwn(der)) return;
    throw refused('the certificate of the caller is not from this server itself', {
      remedy: 'let it prove itself by a token, or by a certificate that this server gave it',
    });
  }

  #isOwn(der: Uint8Array): boolean {
    const leaf = parseCertificate(der);
    const issuers = [this.#deps.signer().issuers[0], ...this.#deps.roots()];
    return issuers.some((issuer) => hasSigned(issuer, leaf));
  }

  #check(identity: SpiffeId): void {
    if (this.#options.identities.has(identity)) return;
    throw refused(`${identity} may not have an authority`, {
      remedy: 'name its service account in the setting intermediateAuthorities',
    });
  }

  #template({ spki }: PublicKey, issuers: Signer['issuers']): IntermediateTemplate {
    const { trustDomains, ttlMs } = this.#options;
    const now = this.#deps.clock.now();
    const endAt = Math.min(...issuers.map(({ notAfterAt }) => notAfterAt));
    if (now >= endAt)
      throw new BulwarkError('CA_KEY_UNUSABLE', 'the certificate of the authority has expired');
    const serial = this.#serials.next();
    return {
      serial,
      name: intermediateName(spki),
      notBeforeAt: wholeSeconds(now - CERTIFICATE_BACKDATE_MS),
      notAfterAt: wholeSeconds(Math.min(now + ttlMs, endAt)),
      spki,
      trustDomains,
    };
  }
}

function hasSigned(issuer: Certificate, leaf: Certificate): boolean {
  try {
    verifySignature(leaf, issuer);
    return true;
  } catch (error) {
    if (isBulwarkError(error)) return false;
    throw error;
  }
}

/** Nothing leaves that could sign more than was meant. */
function verified(der: Uint8Array, template: IntermediateTemplate, issuer: Certificate) {
  const made = parseCertificate(der);
  const wrong = CHECKS.find(({ isRight }) => !isRight(made, template, issuer));
  if (wrong) {
    throw new BulwarkError('CA_SIGN_FAILED', `the intermediate has a wrong ${wrong.field}`, {
      data: { serial: made.serial },
    });
  }
  verifySignature(made, issuer);
  return made;
}

interface Check {
  readonly field: string;
  isRight(made: Certificate, wanted: IntermediateTemplate, issuer: Certificate): boolean;
}

const AUTHORITY_USAGE = KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign | KEY_USAGE.crlSign;
const isSame = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;

const CHECKS: readonly Check[] = [
  { field: 'basic constraint', isRight: (made) => made.isCa && made.pathLength === 0 },
  { field: 'serial', isRight: (made, wanted) => made.serial === wanted.serial },
  { field: 'subject', isRight: (made, wanted) => isSame(made.subject, wanted.name) },
  { field: 'public key', isRight: (made, wanted) => isSame(made.spki, wanted.spki) },
  { field: 'issuer', isRight: (made, _, by) => isSame(made.issuer, by.subject) },
  { field: 'issuer key id', isRight: (made, _, by) => made.authorityKeyId === by.subjectKeyId },
  { field: 'key usage', isRight: (made) => made.keyUsage === AUTHORITY_USAGE },
  { field: 'start', isRight: (made, wanted) => made.notBeforeAt === wanted.notBeforeAt },
  { field: 'end', isRight: (made, wanted) => made.notAfterAt === wanted.notAfterAt },
  {
    // Missing for a domain that cannot stand in a constraint, such as an address.
    field: 'name constraint',
    isRight: ({ nameConstraints: found }, wanted) =>
      wanted.trustDomains.length > 0 &&
      found?.permitted.uriHosts.join() === wanted.trustDomains.join(),
  },
  { field: 'extension that is unknown', isRight: (made) => made.unknownCritical.length === 0 },
];

function refused(message: string, options: { readonly remedy: string }): BulwarkError {
  return new BulwarkError('CA_INTERMEDIATE_REFUSED', message, options);
}

function wholeSeconds(atMs: number): number {
  return Math.floor(atMs / 1000) * 1000;
}
