import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { ConfigMap } from '#api/kinds/config-map.ts';
import type { Secret } from '#api/kinds/secret.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import type { SecretReader } from '#model/secret-readers.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { credentialResource, parseCredentialResource } from '#policy/tls/credential-name.ts';

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

/** What credentials are read from: the objects of a mesh, or those that somebody may read. */
export interface CredentialObjects {
  readonly secrets: Pick<NamespacedObjects<Secret>, 'get'>;
  readonly configMaps: Pick<NamespacedObjects<ConfigMap>, 'get'>;
}

/**
 * What a workload may be handed: Secrets of its namespace that its service account may read at the
 * API server. Who may only write that a workload is a gateway gets nothing by that. ConfigMaps hold
 * no secrets.
 */
export function readableCredentials(
  { secrets, configMaps, secretReaders }: CredentialObjects & Pick<MeshSnapshot, 'secretReaders'>,
  account: SecretReader,
): CredentialObjects {
  const isReadable = (namespace: string, name: string): boolean =>
    namespace === account.namespace && secretReaders.mayRead(account, name);
  return {
    secrets: {
      get: (namespace, name) => {
        const secret = secrets.get(namespace, name);
        return secret && isReadable(namespace, name) ? secret : undefined;
      },
    },
    configMaps,
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
  readonly #read = new WeakMap<Secret | ConfigMap, Credential>();

  /**
   * What a name stands for that somebody of a namespace writes; roots may be in `<name>-cacert`
   * instead. Of other namespaces nothing is read.
   */
  credential(
    { secrets, configMaps }: CredentialObjects,
    namespace: string,
    written: string,
  ): Credential {
    const place = parseCredentialResource(credentialResource(written), namespace);
    if (place?.namespace !== namespace) return NOTHING;
    const { name } = place;
    if (place.kind === 'ConfigMap') return this.#authoritiesOf(configMaps.get(namespace, name));
    const own = this.#contentOf(secrets.get(namespace, name));
    const beside = this.#contentOf(secrets.get(namespace, `${name}${ROOTS_SUFFIX}`));
    return { keyPair: own.keyPair, trust: beside.trust ?? own.trust };
  }

  #contentOf(secret: Secret | undefined): Credential {
    if (!secret) return NOTHING;
    let content = this.#read.get(secret);
    if (!content) {
      const values = valuesOf(secret);
      content = { keyPair: readKeyPair(values), trust: readTrust(values) };
      this.#read.set(secret, content);
    }
    return content;
  }

  #authoritiesOf(configMap: ConfigMap | undefined): Credential {
    if (!configMap) return NOTHING;
    const known = this.#read.get(configMap);
    const content = known ?? { ...NOTHING, trust: readTrust(configMap.data ?? {}) };
    this.#read.set(configMap, content);
    return content;
  }
}

const NOTHING: Credential = { keyPair: undefined, trust: undefined };

type Values = Readonly<Record<string, string>>;

function readKeyPair(values: Values): KeyPair | undefined {
  const certificates = textOf(values, 'certificate');
  const privateKey = textOf(values, 'privateKey');
  if (certificates === undefined || privateKey === undefined) return undefined;
  try {
    const [own] = parseCertificates(certificates);
    if (!own?.checkPrivateKey(createPrivateKey(privateKey))) return undefined;
  } catch {
    return undefined;
  }
  return { certificates, privateKey };
}

function readTrust(values: Values): Trust | undefined {
  const roots = textOf(values, 'roots');
  if (roots === undefined) return undefined;
  try {
    if (parseCertificates(roots).length === 0) return undefined;
  } catch {
    return undefined;
  }
  const crl = textOf(values, 'crl');
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

function valuesOf({ data = {} }: Secret): Values {
  const decoded = (value: string): string => Buffer.from(value, 'base64').toString('utf8');
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, decoded(value)]));
}

function textOf(values: Values, value: keyof typeof VALUES): string | undefined {
  const key = VALUES[value].find((name) => Object.hasOwn(values, name) && values[name] !== '');
  return key === undefined ? undefined : values[key];
}
