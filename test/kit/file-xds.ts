import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TYPE_URL, type TypeUrl, type XdsSnapshot } from '#xds/resource.ts';
import { AGENT_BOOTSTRAP } from './agent-bootstrap.ts';
import type { BootstrapJson } from './envoy.ts';
import type { TestCertificate } from './test-authority.ts';
import { resourceJson } from './xds-json.ts';

/** Types of which Envoy asks for one resource at a time. */
const SINGLE = [TYPE_URL.endpoints, TYPE_URL.route, TYPE_URL.extensionConfig, TYPE_URL.secret];

/** What a workload proves itself with, and what it verifies others with. */
export interface WorkloadSecrets {
  readonly own: TestCertificate;
  /** PEM. */
  readonly roots: string;
}

/**
 * Gives an Envoy its configuration through files instead of streams: generated resources as they
 * are, but for the places where they say where more is to be had. Files are replaced as a whole,
 * and Envoy sees that at once.
 */
export class FileXds {
  readonly #directory: string;
  #runtime: object = {};

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  /** What Envoy starts with. Publish before. */
  get bootstrap(): BootstrapJson {
    return {
      node: { id: 'test', cluster: 'test' },
      ...AGENT_BOOTSTRAP,
      layered_runtime: {
        layers: [
          ...AGENT_BOOTSTRAP.layered_runtime.layers,
          // It does not change, and every file that is watched takes one of the few watchers that
          // all Envoys of a machine share.
          { name: 'mesh', static_layer: this.#runtime },
        ],
      },
      dynamic_resources: {
        lds_config: this.#source(TYPE_URL.listener, ''),
        cds_config: this.#source(TYPE_URL.cluster, ''),
      },
    };
  }

  /** Writes a configuration: first what others refer to. */
  publish(snapshot: XdsSnapshot): void {
    for (const resource of snapshot.get(TYPE_URL.runtime)?.values() ?? [])
      this.#runtime = (resourceJson(resource) as { readonly layer: object }).layer;
    for (const typeUrl of SINGLE) {
      for (const resource of snapshot.get(typeUrl)?.values() ?? [])
        this.#write(typeUrl, resource.name, [resourceJson(resource)]);
    }
    for (const typeUrl of [TYPE_URL.cluster, TYPE_URL.listener])
      this.#write(typeUrl, '', [...(snapshot.get(typeUrl)?.values() ?? [])].map(resourceJson));
  }

  /** Writes the secrets that the agent would hold. */
  publishSecrets({ own, roots }: WorkloadSecrets): void {
    this.#write(TYPE_URL.secret, 'default', [
      {
        name: 'default',
        tls_certificate: {
          certificate_chain: { inline_string: own.certificate },
          private_key: { inline_string: own.privateKey },
        },
      },
    ]);
    this.publishRoots('ROOTCA', roots);
  }

  /** Writes roots under the name of a secret; '' = the secret is not there yet. */
  publishRoots(name: string, roots: string, crl = ''): void {
    if (roots === '') {
      this.#write(TYPE_URL.secret, name, []);
      return;
    }
    this.#write(TYPE_URL.secret, name, [
      {
        name,
        validation_context: {
          trusted_ca: { inline_string: roots },
          ...(crl && { crl: { inline_string: crl } }),
        },
      },
    ]);
  }

  #path(typeUrl: TypeUrl, name: string): string {
    const hash = createHash('sha256').update(`${typeUrl} ${name}`).digest('hex').slice(0, 16);
    return join(this.#directory, `${hash}.json`);
  }

  #write(typeUrl: TypeUrl, name: string, resources: readonly unknown[]): void {
    const path = this.#path(typeUrl, name);
    const typed = resources.map((resource) => ({
      '@type': typeUrl,
      ...(this.#redirectSources(resource, {}) as object),
    }));
    const version = createHash('sha256').update(JSON.stringify(typed)).digest('hex');
    writeFileSync(`${path}.new`, JSON.stringify({ version_info: version, resources: typed }));
    renameSync(`${path}.new`, path);
  }

  #source(typeUrl: TypeUrl, name: string): object {
    const path = this.#path(typeUrl, name);
    return {
      resource_api_version: 'V3',
      initial_fetch_timeout: '0s',
      path_config_source: { path, watched_directory: { path: this.#directory } },
    };
  }

  /**
   * Puts files where a resource names a stream; what the stream would give is named beside that.
   */
  #redirectSources(value: unknown, parent: Json): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#redirectSources(item, parent));
    if (typeof value !== 'object' || value === null) return value;
    const node = value as Json;
    const entries = Object.entries(node).map(([key, part]) => {
      const wanted = wantedFrom(key, node, parent);
      return [key, wanted ? this.#source(...wanted) : this.#redirectSources(part, node)];
    });
    return Object.fromEntries(entries);
  }
}

type Json = Readonly<Record<string, unknown>>;

/**
 * What is wanted from the config source in field `key` of `node`; undefined when the field is none.
 */
function wantedFrom(key: string, node: Json, parent: Json): [TypeUrl, string] | undefined {
  if (key === 'sds_config') return [TYPE_URL.secret, String(node.name)];
  if (key === 'eds_config') return [TYPE_URL.endpoints, String(node.service_name)];
  if (key !== 'config_source') return undefined;
  if (node.route_config_name !== undefined) return [TYPE_URL.route, String(node.route_config_name)];
  return [TYPE_URL.extensionConfig, String(parent.name)];
}
