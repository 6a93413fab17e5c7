import { create } from '@bufbuild/protobuf';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { knownLabels } from '#model/registration.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import {
  type Credential,
  CredentialReader,
  type KeyPair,
  readableCredentials,
  type Trust,
} from '#policy/tls/credential.ts';
import { credentialNames } from '#policy/tls/destination-rules.ts';
import { CREDENTIAL } from '#xds/generate/naming.ts';
import type { Init } from '#xds/generate/proto-values.ts';
import { type ResourceMap, resourceMap } from '#xds/generate/resource-map.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

/** The Secrets of one client. */
export interface ClientSecrets {
  /**
   * Tells clients apart that connect differently because of their Secrets; '' for those that use
   * none. Holds nothing of what is in them.
   */
  readonly scope: string;
  /** What a credentialName stands for. */
  readonly find: (name: string) => Credential;
  /** Those that its clusters may ask for. */
  readonly resources: ResourceMap;
}

const NO_CREDENTIAL: Credential = { keyPair: undefined, trust: undefined };
const NO_SECRETS: ClientSecrets = { scope: '', find: () => NO_CREDENTIAL, resources: new Map() };

/** The Secrets that clients name (credentialName), of which each sees its own namespace's only. */
export class ClientCredentials {
  readonly #reader = new CredentialReader();
  readonly #resources = new WeakMap<KeyPair | Trust, XdsResource>();

  /**
   * What the rules give the workload of a proxy. Rules select by labels, so one whose labels are
   * its own word only gets nothing: it could claim those of any other. Nor does it get what its
   * service account may not read.
   * @param served names of Secrets that it needs as a server, when it is a gateway
   */
  secretsOf(proxy: ProxyNode, mesh: MeshSnapshot, served: readonly string[] = []): ClientSecrets {
    const labels = knownLabels(proxy, mesh);
    if (labels === undefined) return NO_SECRETS;
    const { namespace } = proxy;
    const asked = credentialNames(mesh.destinationRules, { namespace, labels });
    const names = served.length === 0 ? asked : [...new Set([...asked, ...served])];
    if (names.length === 0) return NO_SECRETS;
    const readable = readableCredentials(mesh, proxy);
    const find = (name: string) => this.#reader.credential(readable, namespace, name);
    const found = names.map((name) => [name, find(name)] as const);
    const parts = found.map(([name, { keyPair, trust }]) => [
      name,
      keyPair !== undefined,
      trust !== undefined,
    ]);
    return {
      scope: JSON.stringify([namespace, ...parts]),
      find,
      resources: resourceMap(found.flatMap(([name, credential]) => this.#of(name, credential))),
    };
  }

  #of(name: string, { keyPair, trust }: Credential): readonly XdsResource[] {
    return [
      keyPair ? this.#resource(keyPair, CREDENTIAL.keyPair(name), keyPairSecret(keyPair)) : [],
      trust ? this.#resource(trust, CREDENTIAL.roots(name), trustSecret(trust)) : [],
    ].flat();
  }

  /** By the content's identity, never by its text: keys are nobody's cache key. */
  #resource(
    content: KeyPair | Trust,
    name: string,
    type: Init<typeof SecretSchema>['type'],
  ): XdsResource {
    let resource = this.#resources.get(content);
    if (resource?.name !== name) {
      const secret = create(SecretSchema, { name, ...(type && { type }) });
      resource = encodeResource(TYPE_URL.secret, name, SecretSchema, secret);
      this.#resources.set(content, resource);
    }
    return resource;
  }
}

function keyPairSecret(pair: KeyPair): Init<typeof SecretSchema>['type'] {
  return {
    case: 'tlsCertificate',
    value: { certificateChain: inline(pair.certificates), privateKey: inline(pair.privateKey) },
  };
}

function trustSecret({ roots, crl }: Trust): Init<typeof SecretSchema>['type'] {
  return {
    case: 'validationContext',
    value: { trustedCa: inline(roots), ...(crl !== undefined && { crl: inline(crl) }) },
  };
}

function inline(value: string) {
  return { specifier: { case: 'inlineString' as const, value } };
}
