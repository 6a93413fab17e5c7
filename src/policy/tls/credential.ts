import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '#api/kinds/secret.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { SecretReader } from '#model/secret-readers.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';

/** A key with its certificates, from a Secret. The same object as long as the Secret is. */
export interface KeyPair {
  /** PEM, the own certificate first. */
  readonly certificates: string;
  /** PEM. */
  readonly privateKey: string;
}

/** Whom to believe, from a Secret. The same object as long as the Secret is. */
export interface Trust {
  /** PEM. */
  readonly roots: string;
  /** Revocation lists, PEM. */
  readonly crl: string | undefined;
}

/** What a `credentialName` stands for; a part that is not there, or no good, is undefined. */
export interface Credential {
  readonly keyPair: KeyPair | undefined;
  readonly trust: Trust | undefined;
}

/** The Secrets of a mesh, or those that somebody may read. */
export type SecretSource = Pick<NamespacedObjects<Secret>, 'get'>;

/**
 * The Secrets that a workload may be handed: those of its namespace that its service account may
 * read at the API server. Who may only write that a workload is a gateway gets nothing by that.
 */
export function readableSecrets(
  { secrets, secretReaders }: Pick<MeshSnapshot, 'secrets' | 'secretReaders'>,
  account: SecretReader,
): SecretSource {
  const isReadable = (namespace: string, name: string): boolean =>
    namespace === account.namespace && secretReaders.mayRead(account, name);
  return {
    get: (namespace, name) => {
      const secret = secrets.get(namespace, name);
      return secret && isReadable(namespace, name) ? secret : undefined;
    },
  };
}

/** Says that an account lacks the right to a Secret, and which right that is. */
export function cannotRead(serviceAccount: string, secret: string): string {
  const role = 'no role lets it get this Secret, or list all of the namespace';
  return `service account ${serviceAccount} may not read Secret ${secret}: ${role}`;
}

/** Names of the values in a Secret: Istio's own, then those of `kubernetes.io/tls`. */
const VALUES = {
  certificate: ['cert', 'tls.crt'],
  privateKey: ['key', 'tls.key'],
  roots: ['cacert', 'ca.crt'],
  crl: ['crl', 'ca.crl'],
} as const;

/** A Secret of this name beside the credential may hold its roots. */
const ROOTS_SUFFIX = '-cacert';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const PEM_CRL = /-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/g;
const DER_SEQUENCE = 0x30;

/**
 * Reads Secrets as Istio lays them out for TLS ("credentialName"). What Envoy would refuse is left
 * out: a bad secret also keeps good ones from being taken.
 */
export class CredentialReader {
  readonly #read = new WeakMap<Secret, Credential>();

  /** The credential of a name in a namespace; roots may be in `<name>-cacert` instead. */
  credential(secrets: SecretSource, namespace: string, name: string): Credential {
    const own = this.#contentOf(secrets.get(namespace, name));
    const beside = this.#contentOf(secrets.get(namespace, `${name}${ROOTS_SUFFIX}`));
    return { keyPair: own.keyPair, trust: beside.trust ?? own.trust };
  }

  #contentOf(secret: Secret | undefined): Credential {
    if (!secret) return { keyPair: undefined, trust: undefined };
    let content = this.#read.get(secret);
    if (!content) {
      content = { keyPair: readKeyPair(secret), trust: readTrust(secret) };
      this.#read.set(secret, content);
    }
    return content;
  }
}

function readKeyPair(secret: Secret): KeyPair | undefined {
  const certificates = textOf(secret, 'certificate');
  const privateKey = textOf(secret, 'privateKey');
  if (certificates === undefined || privateKey === undefined) return undefined;
  try {
    const [own] = parseCertificates(certificates);
    if (!own?.checkPrivateKey(createPrivateKey(privateKey))) return undefined;
  } catch {
    return undefined;
  }
  return { certificates, privateKey };
}

function readTrust(secret: Secret): Trust | undefined {
  const roots = textOf(secret, 'roots');
  if (roots === undefined) return undefined;
  try {
    if (parseCertificates(roots).length === 0) return undefined;
  } catch {
    return undefined;
  }
  const crl = textOf(secret, 'crl');
  return crl === undefined || isCrl(crl) ? { roots, crl } : undefined;
}

/** Whether a text is one revocation list or more. */
function isCrl(pem: string): boolean {
  const blocks = [...pem.matchAll(PEM_CRL)];
  return blocks.length > 0 && blocks.every(([, body = '']) => isSequence(body));
}

/** Whether base64 is one DER sequence from beginning to end. */
function isSequence(base64: string): boolean {
  const der = Buffer.from(base64, 'base64');
  const lengthBytes = (der[1] ?? 0) & 0x7f;
  const long = (der[1] ?? 0) > 0x80 && lengthBytes <= 4 && der.length > 2 + lengthBytes;
  if (der[0] !== DER_SEQUENCE || (der[1] ?? 0) === 0x80) return false;
  const header = long ? 2 + lengthBytes : 2;
  const length = long ? der.readUIntBE(2, lengthBytes) : lengthBytes;
  return der.length === header + length;
}

/** @throws Error when one of them is none */
function parseCertificates(pem: string): readonly X509Certificate[] {
  return (pem.match(PEM_CERTIFICATE) ?? []).map((block) => new X509Certificate(block));
}

function textOf({ data = {} }: Secret, value: keyof typeof VALUES): string | undefined {
  const key = VALUES[value].find((name) => Object.hasOwn(data, name) && data[name] !== '');
  return key === undefined ? undefined : Buffer.from(data[key] ?? '', 'base64').toString('utf8');
}
