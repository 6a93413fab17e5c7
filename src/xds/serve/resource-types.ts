import { TYPE_URL, type TypeUrl } from '#xds/resource.ts';

/** The protocols of the resource types, as Istio's metrics and `proxy-status` call them. */
export type DiscoveryName = 'cds' | 'eds' | 'lds' | 'rds' | 'sds' | 'ecds' | 'rtds';

/** How resources of one type are served. What is said of Envoy was seen on Envoy 1.40. */
export interface ResourceType {
  readonly typeUrl: TypeUrl;
  readonly name: DiscoveryName;
  /** Whether a first request without names asks for everything (xDS protocol: LDS and CDS). */
  readonly wildcardByDefault: boolean;
  /**
   * Whether Envoy is told of the end of a resource that it still asks for. The end of a secret or a
   * route Envoy ignores, the end of a filter's configuration makes every request fail: what refers
   * to them goes first, and Envoy then asks for them no more.
   */
  readonly withdraws: boolean;
  /**
   * Whether Envoy applies the good resources of a response that it rejects. Of the other types it
   * stops at the first bad one, so the rest has to be sent again.
   */
  readonly appliesPartly: boolean;
  /**
   * Whether a rejected resource is sent again once another one was taken: a bad secret takes good
   * ones with it, and a listener may wait for a port. Clusters are rejected for good, and a bad one
   * that is sent again would hold back the answers for all clusters again.
   */
  readonly retries: boolean;
  /**
   * Milliseconds after which an unanswered response no longer holds back the next. Envoy gives no
   * answer for clusters while any of them warms up, so that one is short.
   */
  readonly answerMsMax: number;
}

const ANSWER_MS_MAX = 10_000;
const CLUSTERS_ANSWER_MS_MAX = 1000;

/** Every type, in the order of pushes: make before break (xDS protocol, "eventual consistency"). */
export const RESOURCE_TYPES: readonly ResourceType[] = [
  {
    typeUrl: TYPE_URL.cluster,
    name: 'cds',
    wildcardByDefault: true,
    withdraws: true,
    appliesPartly: true,
    retries: false,
    answerMsMax: CLUSTERS_ANSWER_MS_MAX,
  },
  {
    typeUrl: TYPE_URL.endpoints,
    name: 'eds',
    wildcardByDefault: false,
    withdraws: true,
    appliesPartly: false,
    retries: true,
    answerMsMax: ANSWER_MS_MAX,
  },
  {
    typeUrl: TYPE_URL.extensionConfig,
    name: 'ecds',
    wildcardByDefault: false,
    withdraws: false,
    appliesPartly: false,
    retries: true,
    answerMsMax: ANSWER_MS_MAX,
  },
  {
    typeUrl: TYPE_URL.listener,
    name: 'lds',
    wildcardByDefault: true,
    withdraws: true,
    appliesPartly: true,
    retries: true,
    answerMsMax: ANSWER_MS_MAX,
  },
  {
    typeUrl: TYPE_URL.route,
    name: 'rds',
    wildcardByDefault: false,
    withdraws: false,
    appliesPartly: false,
    retries: true,
    answerMsMax: ANSWER_MS_MAX,
  },
  {
    typeUrl: TYPE_URL.secret,
    name: 'sds',
    wildcardByDefault: false,
    withdraws: false,
    appliesPartly: false,
    retries: true,
    answerMsMax: ANSWER_MS_MAX,
  },
  {
    typeUrl: TYPE_URL.runtime,
    name: 'rtds',
    wildcardByDefault: false,
    withdraws: false,
    appliesPartly: false,
    retries: true,
    answerMsMax: ANSWER_MS_MAX,
  },
];

/** The places of the types in RESOURCE_TYPES. */
export const PUSH_ORDER: Readonly<Record<DiscoveryName, number>> = {
  cds: 0,
  eds: 1,
  ecds: 2,
  lds: 3,
  rds: 4,
  sds: 5,
  rtds: 6,
};
