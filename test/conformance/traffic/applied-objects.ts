import { isDeepStrictEqual } from 'node:util';
import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { pathsOf } from '#cli/apply-object.ts';
import type { KubeClient, KubeResponse } from '#kubeclient/kube-client.ts';

/** The object by which the harness sees that a configuration is live; written last. */
const MARKER = 'marker';

/** The configuration as it was given last, and what brings the API to the next one. */
export class AppliedObjects {
  readonly #client: KubeClient;
  readonly #namespaces = new Set<string>();
  #objects = new Map<string, ApiObject>();

  /** `before`: what the same API holds, from an earlier connection. */
  constructor(client: KubeClient, before?: AppliedObjects) {
    this.#client = client;
    if (before) this.#objects = before.#objects;
  }

  /**
   * Makes these objects the whole configuration.
   * @param text JSON documents between lines of `---`
   * @returns what was refused
   */
  async replace(text: string): Promise<readonly string[]> {
    const documents = text.split('\n---\n').map((part) => JSON.parse(part) as ApiObject);
    const wanted = new Map(documents.map((object) => [keyOf(object), object]));
    const refused: string[] = [];
    for (const [key, object] of this.#objects) {
      if (!wanted.has(key)) await this.#remove(object);
    }
    const kept = new Map<string, ApiObject>();
    for (const [key, object] of [...wanted].sort(markerLast)) {
      const before = this.#objects.get(key);
      const refusal = isDeepStrictEqual(before, object) ? undefined : await this.#put(object);
      if (refusal === undefined) kept.set(key, object);
      else refused.push(`${key}: ${refusal}`);
      // What is refused does not leave an older version of itself behind.
      if (refusal !== undefined && before) await this.#remove(before);
    }
    this.#objects = kept;
    return refused;
  }

  /** Writes the mesh configuration where users of Istio have it. */
  async setMesh(namespace: string, text: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    await this.#client.send({ method: 'DELETE', path: `${path}/istio` });
    const metadata = { name: 'istio', namespace };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { mesh: text } };
    await this.#client.expect({ method: 'POST', path, body });
  }

  /** Makes a namespace that is not there yet. */
  async ensureNamespace(name: string): Promise<void> {
    if (name === '' || this.#namespaces.has(name)) return;
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    const made = await this.#client.send({ method: 'POST', path: '/api/v1/namespaces', body });
    if (made.status !== 201 && made.status !== 409)
      throw new Error(`namespace ${name}: ${refusalOf(made)}`);
    this.#namespaces.add(name);
  }

  async #put(object: ApiObject): Promise<string | undefined> {
    if (!kindOf(object.apiVersion, object.kind)) return `there is no kind ${object.kind}`;
    await this.ensureNamespace(object.metadata.namespace ?? '');
    const { collection, object: path } = pathsOf(object, 'default');
    const live = await this.#client.send({ method: 'GET', path });
    const made =
      live.status === 404
        ? await this.#client.send({ method: 'POST', path: collection, body: object })
        : await this.#client.send({ method: 'PUT', path, body: replacing(live, object) });
    return made.status < 400 ? undefined : refusalOf(made);
  }

  async #remove(object: ApiObject): Promise<void> {
    await this.#client.send({ method: 'DELETE', path: pathsOf(object, 'default').object });
  }
}

/** The object as the next version of what is there. */
function replacing({ body }: KubeResponse, object: ApiObject): ApiObject {
  const { resourceVersion } = (body as ApiObject).metadata;
  return { ...object, metadata: { ...object.metadata, resourceVersion } } as ApiObject;
}

function keyOf({ kind, metadata }: ApiObject): string {
  return `${kind}/${metadata.namespace ?? ''}/${metadata.name}`;
}

function markerLast([a]: readonly [string, ApiObject], [b]: readonly [string, ApiObject]): number {
  const rank = (key: string): number => Number(key === `VirtualService/istio-system/${MARKER}`);
  return rank(a) - rank(b);
}

function refusalOf({ status, body }: KubeResponse): string {
  const { message } = (body ?? {}) as { message?: string };
  return `${status} ${message ?? ''}`;
}
