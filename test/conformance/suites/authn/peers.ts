import type { AuthenticationPolicy } from '#api/kinds/authentication-policy.ts';
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import { NamespacedObjects } from '#model/namespaced-objects.ts';
import { ServiceIndex } from '#model/service-index.ts';
import { readInstance } from '#model/workload.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { type InboundMode, type InboundMtls, modeOfPort } from '#policy/authn/mtls-mode.ts';
import { modeOfPeers } from '#policy/authn/peers.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { jsonDifference } from '../../json-difference.ts';
import { tlsDifference } from '../../tls-difference.ts';
import type { AuthnCheck, AuthnRow } from './row.ts';
import { serverContext } from './tls-contexts.ts';
import { tokensOf } from './tokens.ts';

const ROOT = 'root-namespace';
const OWN = 'my-ns';
/** The port that those suites ask about which ask about one. */
const PORT = 8080;
/** `T0` of the placeholders. */
const T0_MS = Date.UTC(2026, 0, 1);

type Spec = NonNullable<PeerAuthentication['spec']>;
type OldSpec = NonNullable<AuthenticationPolicy['spec']>;

/** An object as the rows write it, by the names of either release. */
interface Config {
  readonly meta?: ConfigMeta;
  readonly configMeta?: ConfigMeta;
  readonly spec?: Spec;
}

interface ConfigMeta {
  readonly name?: string;
  readonly namespace?: string;
  readonly creationTimestamp?: string;
}

/** `T0+1s` as a time of the API. */
function created(placeholder: string | undefined): { creationTimestamp?: string } {
  const [, sign = '+', seconds = '0'] = /^T0(?:([+-])(\d+)s)?$/.exec(placeholder ?? '') ?? [];
  if (placeholder === undefined) return {};
  const time = T0_MS + Number(`${sign}${seconds}`) * 1000;
  return { creationTimestamp: new Date(time).toISOString() };
}

function objectOf(config: Config, index: number): PeerAuthentication {
  const {
    name = `config-${index}`,
    namespace = OWN,
    ...meta
  } = config.meta ?? config.configMeta ?? {};
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name, namespace, ...created(meta.creationTimestamp) },
    spec: config.spec ?? {},
  };
}

/** What holds for a workload that every selector of the row matches, as the suites have it. */
function mtlsOf(configs: readonly Config[], old: OldSpec | undefined): InboundMtls {
  const objects = configs.map(objectOf);
  const labels = Object.assign({}, ...objects.map(({ spec }) => spec?.selector?.matchLabels ?? {}));
  const policy: AuthenticationPolicy = {
    apiVersion: 'authentication.istio.io/v1alpha1',
    kind: 'Policy',
    metadata: { name: 'default', namespace: OWN },
    ...(old && { spec: old }),
  };
  const trustDomain = parseTrustDomain('cluster.local');
  const authenticator = new PeerAuthenticator(meshSettings(trustDomain, { rootNamespace: ROOT }));
  const workload = readInstance({
    name: 'workload',
    namespace: OWN,
    trustDomain,
    applicationPorts: {},
    spec: { address: '10.0.0.1', labels },
  });
  const grouped = Map.groupBy(objects, ({ metadata }) => metadata.namespace ?? '');
  return authenticator.inboundMtls(workload, {
    peerAuthentications: NamespacedObjects.empty<PeerAuthentication>().replace(grouped),
    authenticationPolicies: NamespacedObjects.empty<AuthenticationPolicy>().replace(
      new Map([[OWN, old ? [policy] : []]]),
    ),
    meshPolicies: NamespacedObjects.empty(),
    services: new ServiceIndex(new Map()),
  });
}

function configsOf(row: AuthnRow, ...names: readonly string[]): readonly Config[] {
  return names.flatMap((name) => (row.fields[name] as readonly Config[] | undefined) ?? []);
}

/** What the suite expects of the merged objects, in one form for both releases. */
interface Merged {
  readonly mode?: string;
  readonly perPort?: Readonly<Record<string, string>>;
  readonly mtls?: { readonly mode?: string };
  readonly portLevelMtls?: Readonly<Record<string, { readonly mode?: string }>>;
}

const compose: AuthnCheck = (row) => {
  const want = (row.fields.want ?? {}) as Merged;
  const mode = want.mode ?? want.mtls?.mode ?? 'PERMISSIVE';
  const written = Object.entries(want.portLevelMtls ?? {});
  const ports = want.perPort ?? Object.fromEntries(written.map(([port, one]) => [port, one.mode]));
  const mtls = mtlsOf(configsOf(row, 'configs'), undefined);
  const actual = { mode: mtls.mode, ports: Object.fromEntries(mtls.ports) };
  return jsonDifference({ mode, ports }, actual);
};

/** The mode of a port, and the TLS of its chains for TCP and HTTP. */
interface ExpectedSettings {
  readonly port?: number;
  readonly mode?: string;
  readonly tcp?: unknown;
  readonly http?: unknown;
}

const inboundSettings: AuthnCheck = (row) => {
  const { port = PORT, mode, tcp, http } = row.fields.expected as ExpectedSettings;
  const mtls = mtlsOf(configsOf(row, 'peerPolicies'), undefined);
  const found = modeOfPort(mtls, port);
  const context = found === 'DISABLE' ? undefined : serverContext([]);
  return jsonDifference(mode, found) ?? tlsDifference(tcp, context) ?? tlsDifference(http, context);
};

/** The mode that filter chains of release 1.5 stand for. */
function modeOfChains(chains: unknown): InboundMode {
  const list = (chains ?? []) as readonly { readonly tlsContext?: unknown }[];
  const withTls = list.filter(({ tlsContext }) => tlsContext !== undefined).length;
  if (withTls === 0) return 'DISABLE';
  return withTls === list.length ? 'STRICT' : 'PERMISSIVE';
}

const newChains: AuthnCheck = (row) => {
  const old = row.fields.alphaPolicy as OldSpec | undefined;
  const mtls = mtlsOf(configsOf(row, 'peerPolicies'), old ?? undefined);
  return jsonDifference(modeOfChains(row.fields.expected), modeOfPort(mtls, PORT));
};

/** A port that only a token may open is open at the listener of Istio, whose filter refuses all. */
function atListener(mode: InboundMode): InboundMode {
  return mode === 'REFUSE' ? 'DISABLE' : mode;
}

function modeOfOld(spec: unknown): InboundMode {
  const { targets: _, ...rest } = (spec ?? {}) as OldSpec;
  return modeOfPeers({ apiVersion: '', kind: '', metadata: { name: 'default' }, spec: rest });
}

const oldChains: AuthnCheck = ({ fields }) =>
  jsonDifference(modeOfChains(fields.expected), atListener(modeOfOld(fields.in)));

const oldMode: AuthnCheck = ({ fields }) =>
  jsonDifference(fields.expected, atListener(modeOfOld(fields.in)));

/** Parameters of mutual TLS → the mode. */
function modeOfParams(params: unknown): InboundMode {
  const { mode = 'STRICT', allowTls = false } = params as {
    mode?: InboundMode;
    allowTls?: boolean;
  };
  return allowTls ? 'PERMISSIVE' : mode;
}

const oldParams: AuthnCheck = ({ fields }) => {
  const params = fields.expectedParams ?? undefined;
  const expected = params === undefined ? 'DISABLE' : modeOfParams(params);
  return jsonDifference(expected, atListener(modeOfOld(fields.in)));
};

/** What the filter `istio_authn`, which our Envoy has not, was told. */
interface AuthnFilter {
  readonly policy?: {
    readonly peers?: readonly { readonly mtls?: unknown; readonly jwt?: unknown }[];
    readonly origins?: NonNullable<OldSpec['origins']>;
    readonly originIsOptional?: boolean;
    readonly principalBinding?: string;
  };
}

function filterOf(expected: unknown): AuthnFilter {
  const { policy, typedConfig } = (expected ?? {}) as AuthnFilter & { typedConfig?: AuthnFilter };
  return typedConfig ?? (policy ? { policy } : {});
}

function modeOfFilter({ policy }: AuthnFilter): InboundMode {
  const peers = policy?.peers ?? [];
  const mtls = peers.find((peer) => peer.mtls !== undefined);
  if (mtls === undefined) return peers.length === 0 ? 'DISABLE' : 'REFUSE';
  return modeOfParams(mtls.mtls ?? {});
}

/** Issuers and how many trigger rules each has, whether a token is needed, and the principal. */
function originsDifference({ policy }: AuthnFilter, old: OldSpec): string | undefined {
  const origins = policy?.origins ?? [];
  if (origins.length === 0) return undefined;
  const { rules, demand, binding } = tokensOf([], old);
  const expected = {
    origins: origins.map(({ jwt }) => [jwt?.issuer, jwt?.triggerRules?.length ?? 0]),
    demand: policy?.originIsOptional ? 'optional' : 'present',
    binding: policy?.principalBinding === 'USE_ORIGIN' ? 'origin' : 'peer',
  };
  const found = rules.map(({ issuer, triggers }) => [issuer, triggers.length]);
  return jsonDifference(expected, { origins: found, demand, binding });
}

/** What the old filter was told of peers and, for rows of the old API, of origins. */
const filter: AuthnCheck = (row) => {
  const { fields } = row;
  const expected = filterOf(fields.expected ?? fields.expectedFilterConfig);
  // A gateway takes connections as its servers say; of policies it has the origins.
  if (fields.isGateway) return originsDifference(expected, (fields.alphaPolicyIn ?? {}) as OldSpec);
  if (row.suite !== 'TestAuthnFilterConfig') {
    const difference = jsonDifference(modeOfFilter(expected), modeOfOld(fields.in));
    return difference ?? originsDifference(expected, (fields.in ?? {}) as OldSpec);
  }
  const old = (fields.alphaPolicyIn ?? undefined) as OldSpec | undefined;
  const mtls = mtlsOf(configsOf(row, 'peerIn', 'peerPolicies'), old);
  const difference = jsonDifference(modeOfFilter(expected), modeOfPort(mtls, PORT));
  if (difference !== undefined || expected.policy?.origins === undefined) return difference;
  if (old === undefined) return 'not built: the old filter as RequestAuthentication had it told';
  return originsDifference(expected, old);
};

/** Rows about which connections a workload takes. */
export const PEER_CHECKS: Readonly<Record<string, AuthnCheck>> = {
  TestComposePeerAuthentication: compose,
  TestInboundMTLSSettings: inboundSettings,
  TestOnInboundFilterChain: newChains,
  TestOnInboundFilterChains: oldChains,
  TestGetMutualTLSMode: oldMode,
  TestRequireTls: oldParams,
  TestAuthnFilterConfig: filter,
  TestConvertPolicyToAuthNFilterConfig: filter,
  TestBuildAuthNFilter: filter,
};
