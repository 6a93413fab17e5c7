import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { BulwarkError } from '#base/errors.ts';
import { pathExists, readSecretFile, writeFileAtomic } from '#base/files.ts';
import type { RandomSource } from '#base/random.ts';
import { Secret } from '#base/secret.ts';
import { buildCertificate, buildName, keyIdOf } from '#pki/build-certificate.ts';
import { leafExtensions, rootExtensions } from '#pki/extensions.ts';
import { generateKeyPair } from '#pki/keys.ts';
import { encodePem } from '#pki/pem.ts';

/** A certificate and its key, PEM. */
export interface ClientCredentials {
  readonly certificate: string;
  readonly key: Secret<string>;
}

/**
 * Who a certificate is for: the API takes the common name as user and the organizations as groups.
 */
export interface ClientSubject {
  readonly user: string;
  readonly groups: readonly string[];
  readonly validDays: number;
}

export interface ClientAuthorityDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
}

const CERTIFICATE_FILE = 'api-clients.crt';
const KEY_FILE = 'api-clients.key';
const NAME = buildName({ organization: 'bulwark', commonName: 'bulwark-api-clients' });
const VALID_DAYS = 3650;
const DAY_MS = 24 * 3600 * 1000;
/** Clocks differ a little: a new certificate is good from a while ago on. */
const BACKDATE_MS = 5 * 60 * 1000;

/**
 * Signs certificates of the API's clients. It has nothing to do with the authority of the mesh: a
 * workload's certificate opens nothing here, and a client's nothing in the mesh.
 */
export class ClientAuthority {
  /** PEM, for the API server to verify clients against. */
  readonly certificate: string;
  readonly #key: KeyObject;
  readonly #deps: ClientAuthorityDeps;

  constructor(certificate: string, key: KeyObject, deps: ClientAuthorityDeps) {
    this.certificate = certificate;
    this.#key = key;
    this.#deps = deps;
  }

  /** A new key and a certificate for it. */
  issue(subject: ClientSubject): ClientCredentials {
    const { privateKey, publicKey } = generateKeyPair();
    return { certificate: this.certify(subject, spkiOf(publicKey)), key: pemOf(privateKey) };
  }

  /** A certificate for a key of the client's own, of which there is only the public half here. */
  certify({ user, groups, validDays }: ClientSubject, spki: Uint8Array): string {
    const issuer = new X509Certificate(this.certificate).publicKey;
    const certificate = buildCertificate(
      {
        ...validity(this.#deps.clock, validDays),
        serial: serialNumber(this.#deps.random),
        subject: buildName({ organization: groups, commonName: user }),
        spki,
        extensions: [leafExtensions(['clientAuth'], keyIdOf(spkiOf(issuer)))],
      },
      { name: NAME, privateKey: this.#key },
    );
    return encodePem('CERTIFICATE', certificate);
  }

  /** Whether this authority signed the certificate, and it is good for `days` more. */
  vouchesFor(certificate: string, days: number): boolean {
    try {
      const leaf = new X509Certificate(certificate);
      const own = new X509Certificate(this.certificate);
      const endsAt = Date.parse(leaf.validTo);
      return leaf.verify(own.publicKey) && endsAt - this.#deps.clock.now() > days * DAY_MS;
    } catch {
      return false;
    }
  }
}

/**
 * The authority whose files are in `directory`; made at the first start.
 * @throws BulwarkError FILES_UNREADABLE, FILES_TOO_OPEN, FILES_UNWRITABLE, FILES_DISK_FULL,
 * CLIENT_CA_UNUSABLE
 */
export async function loadClientAuthority(
  directory: string,
  deps: ClientAuthorityDeps,
): Promise<ClientAuthority> {
  const [certificatePath, keyPath] = [join(directory, CERTIFICATE_FILE), join(directory, KEY_FILE)];
  if (!(await pathExists(keyPath))) {
    const { certificate, key } = makeAuthority(deps);
    await writeFileAtomic(certificatePath, certificate);
    // The key last: only with it there is an authority, so a crash between the two starts over.
    await writeFileAtomic(keyPath, key.reveal());
    return new ClientAuthority(certificate, createPrivateKey(key.reveal()), deps);
  }
  const pem = await readSecretFile(keyPath);
  const certificate = String(await readSecretFile(certificatePath, { exclusive: false }));
  try {
    const key = createPrivateKey(pem);
    if (!new X509Certificate(certificate).checkPrivateKey(key)) {
      throw new TypeError('the key is not that of the certificate');
    }
    return new ClientAuthority(certificate, key, deps);
  } catch (cause) {
    throw new BulwarkError('CLIENT_CA_UNUSABLE', `${certificatePath} and ${keyPath} do not fit`, {
      remedy: 'restore both from a backup, or remove both: new ones are made, old kubeconfigs end',
      data: { certificatePath, keyPath },
      cause,
    });
  }
}

function makeAuthority({ clock, random }: ClientAuthorityDeps): ClientCredentials {
  const { privateKey, publicKey } = generateKeyPair();
  const spki = spkiOf(publicKey);
  const certificate = buildCertificate(
    {
      ...validity(clock, VALID_DAYS),
      serial: serialNumber(random),
      subject: NAME,
      spki,
      extensions: [rootExtensions(keyIdOf(spki))],
    },
    { name: NAME, privateKey },
  );
  return { certificate: encodePem('CERTIFICATE', certificate), key: pemOf(privateKey) };
}

function validity(clock: Clock, days: number) {
  const now = clock.now();
  return { notBeforeAt: now - BACKDATE_MS, notAfterAt: now + days * DAY_MS };
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

function pemOf(privateKey: KeyObject): Secret<string> {
  return new Secret(String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
}

/** 128 random bits, hex (RFC 5280 section 4.1.2.2: positive, at most 20 bytes). */
function serialNumber(random: RandomSource): string {
  return Buffer.from(random.bytes(16)).toString('hex');
}
