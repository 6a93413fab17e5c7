import { create } from '@bufbuild/protobuf';
import { SecretSchema } from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { MeshSnapshot } from '#model/snapshot.ts';
import {
  type Credential,
  CredentialReader,
  type KeyPair,
  type Trust,
} from '#policy/tls/credential.ts';
import { credentialNames, type RuleClient } from '#policy/tls/destination-rules.ts';
import { CREDENTIAL } from '#xds/generate/naming.ts';
import type { Init } from '#xds/generate/proto-values.ts';
import { type ResourceMap, resourceMap } from '#xds/generate/resource-map.ts';
import { encodeResource, TYPE_URL, type XdsResource } from '#xds/resource.ts';

const NOTHING: ResourceMap = new Map();

/** The Secrets that clients name (credentialName), of which each sees its own namespace's only. */
export class ClientCredentials {
  readonly #reader = new CredentialReader();
  readonly #resources = new WeakMap<KeyPair | Trust, XdsResource>();

  /** What a name stands for, for a client. */
  find(client: RuleClient, mesh: MeshSnapshot, name: string): Credential {
    return this.#reader.credential(mesh.secrets, client.namespace, name);
  }

  /**
   * Tells clients apart that connect differently because of their Secrets; '' for those that use
   * none. Holds nothing of what is in them.
   */
  scopeOf(client: RuleClient, mesh: MeshSnapshot): string {
    const names = credentialNames(mesh.destinationRules, client);
    if (names.length === 0) return '';
    const parts = names.map((name) => {
      const { keyPair, trust } = this.find(client, mesh, name);
      return [name, keyPair !== undefined, trust !== undefined];
    });
    return JSON.stringify([client.namespace, ...parts]);
  }

  /** The secrets that the clusters of a client may ask for. */
  secretsFor(client: RuleClient, mesh: MeshSnapshot): ResourceMap {
    const names = credentialNames(mesh.destinationRules, client);
    if (names.length === 0) return NOTHING;
    return resourceMap(
      names.flatMap((name) => {
        const { keyPair, trust } = this.find(client, mesh, name);
        return [
          keyPair ? this.#resource(keyPair, CREDENTIAL.keyPair(name), keyPairSecret(keyPair)) : [],
          trust ? this.#resource(trust, CREDENTIAL.roots(name), trustSecret(trust)) : [],
        ].flat();
      }),
    );
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
