import type { Diagnostic } from '#api/diagnostic.ts';
import { objectMeta } from '#api/kinds/object-meta.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import { object, type Schema, text } from '#api/schema.ts';

/** The group of the Gateway API: of Kubernetes, and yet a cluster has it as an extension. */
export const GATEWAY_API = 'gateway.networking.k8s.io';

/** A cell of a table; null where the object says nothing. */
export type Cell = string | number | null;

/** A column that `kubectl get` prints, beside NAME (which every kind has). */
export interface Column<T extends ApiObject = ApiObject> {
  /** As the API serves it: `Cluster-IP`. kubectl prints it in capitals. */
  readonly name: string;
  /** `date`: an age in words. `instant`: a date and time as it is. */
  readonly type: 'string' | 'integer' | 'date' | 'instant';
  readonly description: string;
  /** 0 = always shown, 1 = only with `-o wide`. */
  readonly priority: 0 | 1;
  /** Where the value is, as a CustomResourceDefinition says it; absent where it is computed. */
  readonly jsonPath?: string;
  /** The value for one object. `now` in milliseconds since 1970. */
  value(object: T, now: number): Cell;
}

/** Collects what is wrong with an object. */
export type Report = (diagnostic: Diagnostic) => void;

/**
 * What a name may look like: a DNS label (63 characters), a DNS subdomain (253, with dots), or
 * whatever fits between two slashes of a path.
 */
export type NameRule = 'label' | 'subdomain' | 'segment';

/** What a file of `src/api/kinds` says about its kind. */
export interface KindDescription<T extends ApiObject> {
  /** '' for the core group. */
  readonly group: string;
  /** Served versions, the preferred one (which is stored) first. All have the same content. */
  readonly versions: readonly [string, ...string[]];
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Whether writes to the object leave status alone, and writes to `…/status` everything else. */
  readonly statusSubresource: boolean;
  readonly nameRule: NameRule;
  readonly description: string;
  /** Objects of the kind that there may be at one time; no bound when left out. */
  readonly countMax?: number;
  /** Fields beside apiVersion, kind and metadata. */
  readonly fields: Readonly<Record<string, Schema>>;
  readonly requiredFields?: readonly string[];
  readonly columns: readonly Column<T>[];
  /** Rules that the schema cannot say; called only with objects that fit the schema. */
  check?(object: T, report: Report): void;
  /** What a change may not do to an object. */
  checkChange?(before: T, after: T, report: Report): void;
  /** The object with its left-out fields filled. */
  defaults?(object: T): T;
}

/** A kind of the API, complete. */
export interface KindDefinition<T extends ApiObject = ApiObject> extends KindDescription<T> {
  /** `services`, `authorizationpolicies.security.istio.io`. */
  readonly id: KindId;
  readonly singular: string;
  readonly listKind: string;
  /** apiVersion in the preferred version: `v1`, `security.istio.io/v1`. */
  readonly apiVersion: string;
  /**
   * Whether a cluster knows the kind by a CustomResourceDefinition (no strategic merge patch
   * there).
   */
  readonly custom: boolean;
  /** The whole object, apiVersion, kind and metadata included. */
  readonly schema: Schema;
}

/** Completes a description; what can be derived is derived here, once. */
export function defineKind<T extends ApiObject>(
  description: KindDescription<T>,
): KindDefinition<T> {
  const { group, versions, kind, plural, fields, requiredFields } = description;
  return {
    ...description,
    id: group === '' ? plural : `${plural}.${group}`,
    singular: kind.toLowerCase(),
    listKind: `${kind}List`,
    apiVersion: group === '' ? versions[0] : `${group}/${versions[0]}`,
    custom: group.includes('.') && (!group.endsWith('.k8s.io') || group === GATEWAY_API),
    schema: {
      ...object(description.description, {
        apiVersion: text('Group and version of the kind.'),
        kind: text('The kind.'),
        metadata: objectMeta,
        ...fields,
      }),
      ...(requiredFields === undefined ? {} : { required: requiredFields }),
    },
  };
}
