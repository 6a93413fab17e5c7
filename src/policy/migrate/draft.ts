import type { Diagnostic } from '#api/diagnostic.ts';
import { violates, warning } from '#api/field-error.ts';
import type { ApiObject } from '#api/object.ts';
import type { Labels } from '#model/selector.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';

/** A new object, and the older ones whose meaning it takes over. */
export interface MadeObject {
  readonly object: ApiObject;
  /** At least one. */
  readonly from: readonly ApiObject[];
}

/** What is to be told of an older object: an error where its meaning cannot be kept. */
export interface MigrationFinding extends Diagnostic {
  readonly object: ApiObject;
}

/** The kinds that older objects are turned into. */
export type NewKind = 'PeerAuthentication' | 'RequestAuthentication' | 'AuthorizationPolicy';

/** What a new object is made of. */
export interface NewObject {
  readonly kind: NewKind;
  readonly namespace: string;
  /** Its name, unless another object has it. */
  readonly name: string;
  /** Only workloads with these labels; undefined = all of the namespace. */
  readonly labels: Labels | undefined;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec: object;
}

/** Collects what a migration makes and finds. */
export class Draft {
  readonly mesh: MeshSnapshot;
  /** Whether what is not in the mesh is nowhere. */
  readonly knowsAll: boolean;
  readonly made: MadeObject[] = [];
  readonly findings: MigrationFinding[] = [];

  constructor(mesh: MeshSnapshot, { knowsAll }: { readonly knowsAll: boolean }) {
    this.mesh = mesh;
    this.knowsAll = knowsAll;
  }

  /** Tells that an object is not there: what names it means nothing, or cannot be carried over. */
  reportMissing(object: ApiObject, field: string, kind: 'Service' | 'ServiceRole'): void {
    if (this.knowsAll) {
      this.report(object, warning(field, `there is no such ${kind}: this means nothing`));
      return;
    }
    const remedy = 'name its file as well (-f), or leave -f out to read a running server';
    this.report(object, violates(field, `no such ${kind} is among the objects`, remedy));
  }

  /** Adds an object under a name that is free. */
  add(wanted: NewObject, from: readonly ApiObject[]): void {
    const { kind, namespace, labels, annotations, spec } = wanted;
    const name = this.#freeName(wanted);
    const selector = labels === undefined ? {} : { selector: { matchLabels: labels } };
    const kept = keptMetadata(from, annotations);
    const metadata = { name, namespace, ...kept };
    const object = {
      apiVersion: 'security.istio.io/v1',
      kind,
      metadata,
      spec: { ...selector, ...spec },
    };
    this.made.push({ object, from });
  }

  /** Tells something of an older object; the same only once. */
  report(object: ApiObject, diagnostic: Diagnostic): void {
    const isKnown = this.findings.some(
      (one) => one.object === object && one.message === diagnostic.message,
    );
    if (!isKnown) this.findings.push({ object, ...diagnostic });
  }

  #freeName({ kind, namespace, name }: NewObject): string {
    for (let number = 1; ; number += 1) {
      const candidate = number === 1 ? name : `${name}-${number}`;
      if (!this.#isTaken(kind, namespace, candidate)) return candidate;
    }
  }

  #isTaken(kind: NewKind, namespace: string, name: string): boolean {
    const { peerAuthentications, requestAuthentications, authorizationPolicies } = this.mesh;
    const present = {
      PeerAuthentication: peerAuthentications,
      RequestAuthentication: requestAuthentications,
      AuthorizationPolicy: authorizationPolicies,
    }[kind];
    if (present.get(namespace, name) !== undefined) return true;
    return this.made.some(
      ({ object }) =>
        object.kind === kind &&
        object.metadata.namespace === namespace &&
        object.metadata.name === name,
    );
  }
}

/** Annotations that would mean something else on a new object. */
const NOT_KEPT: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'istio.io/dry-run',
]);

/** Labels and annotations of the first older object, and further annotations. */
function keptMetadata(
  [first]: readonly ApiObject[],
  further: NewObject['annotations'] = {},
): Partial<ApiObject['metadata']> {
  const { labels, annotations: given = {} } = first?.metadata ?? {};
  const own = Object.entries(given).filter(([key]) => !NOT_KEPT.has(key));
  const annotations = { ...Object.fromEntries(own), ...further };
  return {
    ...(labels && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}
