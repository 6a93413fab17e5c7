import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ClientTls } from '#api/kinds/traffic-policy.ts';
import type { TransportSocket } from '#gen/envoy-api/envoy/config/core/v3/base_pb.js';
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '#gen/envoy-api/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Service } from '#model/service.ts';
import { DEFAULT_TLS_LIMITS } from '#model/tls-limits.ts';
import { canHold, MESH, type SourceMatch } from '#policy/routing/source-match.ts';
import { gatewayTls, type ServerTls } from '#policy/tls/gateway-tls.ts';
import { type UpstreamTls, upstreamTls } from '#policy/tls/upstream-tls.ts';
import { gatewayTlsContext } from '#xds/generate/gateway-tls.ts';
import { meshClientTls, originatedTls } from '#xds/generate/tls-context.ts';
import { jsonDifference } from '../json-difference.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { tlsDifference } from '../tls-difference.ts';

/** A case of `tls.json`; the fields are those of the test that it was taken from. */
interface TlsCase {
  readonly suite: string;
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A Gateway's or client's TLS settings → Envoy's contexts, and who is a source of a match. */
export const suite: ConformanceSuite = {
  name: 'tls',
  run: async (directory) => {
    const cases = JSON.parse(readFileSync(join(directory, 'tls.json'), 'utf8')) as TlsCase[];
    return cases.map(result);
  },
};

const CHECKS: Readonly<Record<string, (fields: TlsCase['fields']) => string | undefined>> = {
  TestBuildGatewayListenerTlsContext: gatewayContext,
  TestBuildUpstreamClusterTLSContext: upstreamContext,
  TestBuildAutoMtlsSettings: autoMtls,
  TestMatchTLS: sourceMatch,
  TestMatchTCP: sourceMatch,
};

function result({ suite: name, name: caseName, fields }: TlsCase): CaseResult {
  const one = `${name} ${caseName}`;
  try {
    const check = CHECKS[name];
    const detail = check ? check(fields) : 'not built';
    if (detail === undefined) return { case: one, outcome: 'passed' };
    return { case: one, outcome: 'failed', detail };
  } catch (error) {
    return { case: one, outcome: 'failed', detail: String(error) };
  }
}

function gatewayContext(fields: TlsCase['fields']): string | undefined {
  const { tls } = fields.server as { readonly tls: ServerTls };
  const context = gatewayTlsContext(gatewayTls(tls));
  return tlsDifference(fields.result, toJson(DownstreamTlsContextSchema, context));
}

/** The names and server name that a cluster of these tests has without a rule. */
interface Defaults {
  readonly sans: readonly string[];
  readonly sni: string;
}

/** A context or an error: named, or one after the other. */
interface UpstreamResult {
  readonly tlsContext?: unknown;
  readonly err?: unknown;
}

function isList(value: object): value is readonly unknown[] {
  return Array.isArray(value);
}

function upstreamContext(fields: TlsCase['fields']): string | undefined {
  const {
    opts,
    tls,
    result: expected,
  } = fields as {
    readonly opts: { readonly mutable?: { readonly $cluster?: string } };
    readonly tls: ClientTls;
    readonly result: UpstreamResult | readonly unknown[];
  };
  const wanted = isList(expected) ? expected : [expected.tlsContext, expected.err];
  const isHttp2 = /h2|http2/i.test(opts.mutable?.$cluster ?? '');
  const decided = decide({ tls, external: true, autoMtls: false });
  if (decided.mode === 'refuse') return wanted[1] ? undefined : decided.reason;
  const socket = socketOf(decided, isHttp2, { sans: [], sni: '' });
  return tlsDifference(wanted[0] ?? undefined, socket && contextOf(socket));
}

function socketOf(
  tls: Exclude<UpstreamTls, { mode: 'refuse' }>,
  isHttp2: boolean,
  { sans, sni }: Defaults,
): TransportSocket | undefined {
  const { mesh, outside } = DEFAULT_TLS_LIMITS;
  if (tls.mode === 'plain') return undefined;
  if (tls.mode === 'originate') return originatedTls(tls.tls, isHttp2 ? ['h2'] : [], outside);
  const asked = tls.mode === 'mesh' ? tls.subjectAltNames : [];
  const server = {
    names: { ids: asked.length > 0 ? asked : sans, idPrefixes: [] },
    sni: (tls.mode === 'mesh' && tls.sni) || sni,
    roots: 'own' as const,
  };
  return meshClientTls(server, [], mesh);
}

function contextOf({ configType }: TransportSocket): JsonValue {
  if (configType.case !== 'typedConfig') throw new Error('a socket without its context');
  return toJson(
    UpstreamTlsContextSchema,
    fromBinary(UpstreamTlsContextSchema, configType.value.value),
  );
}

/** What a client of a rule with these settings does; an external service is one outside. */
function decide(given: {
  readonly tls: ClientTls | null;
  readonly external: boolean;
  readonly autoMtls: boolean;
}): UpstreamTls {
  const from: DestinationRule = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'rule', namespace: 'default' },
    spec: { host: 'foo.com', trafficPolicy: given.tls ? { tls: given.tls } : {} },
  };
  const service: Service = {
    host: 'foo.com',
    name: 'foo',
    namespace: 'default',
    ports: [{ name: 'http', port: 80, targetPort: 80, protocol: 'http' }],
    addresses: [],
    resolution: 'static',
    headless: false,
    external: given.external,
    selector: undefined,
    subjectAltNames: [],
    exportTo: [],
    source: from,
  };
  return upstreamTls({
    service,
    port: 80,
    rule: { policy: from.spec.trafficPolicy, from, subsets: [], selectsClient: true },
    subset: '',
    autoMtls: given.autoMtls,
    outsideIsNamed: false,
    credential: () => ({
      keyPair: { certificates: '', privateKey: '' },
      trust: { roots: '', crl: undefined },
    }),
  });
}

/**
 * Whether mutual TLS is used without a rule. The mode of the service is what its endpoints take:
 * here, as in the test, the same for all of them.
 */
function autoMtls(fields: TlsCase['fields']): string | undefined {
  const given = fields as unknown as {
    readonly tls: ClientTls | null;
    readonly sans: readonly string[];
    readonly sni: string;
    readonly proxy: { readonly metadata?: Readonly<Record<string, unknown>> };
    readonly autoMTLSEnabled: boolean;
    readonly meshExternal: boolean;
    readonly serviceMTLSMode: string;
    readonly want: unknown;
    readonly wantCtxType: string;
  };
  if (given.proxy.metadata?.tlsClientCertChain !== undefined)
    return 'not built: certificates that the metadata of a node names';
  const { tls, meshExternal: external, autoMTLSEnabled } = given;
  const decided = decide({ tls, external, autoMtls: autoMTLSEnabled });
  const takesIt = given.serviceMTLSMode !== 'UNKNOWN' && given.serviceMTLSMode !== 'DISABLE';
  const settings = (): unknown => {
    switch (decided.mode) {
      case 'auto':
        return takesIt
          ? { mode: 'ISTIO_MUTUAL', subjectAltNames: given.sans, sni: given.sni }
          : null;
      case 'mesh': {
        const own = decided.subjectAltNames;
        const subjectAltNames = own.length > 0 ? own : given.sans;
        return { mode: 'ISTIO_MUTUAL', subjectAltNames, sni: decided.sni ?? given.sni };
      }
      default:
        return tls;
    }
  };
  const type = decided.mode === 'auto' && takesIt ? 'autoDetected' : 'userSupplied';
  return jsonDifference([given.want ?? null, given.wantCtxType], [settings(), type]);
}

function sourceMatch(fields: TlsCase['fields']): string | undefined {
  const { args, want } = fields as unknown as {
    readonly args: {
      readonly match?: SourceMatch | null;
      readonly labels?: Readonly<Record<string, string>>;
      readonly proxyLabels?: Readonly<Record<string, string>>;
      readonly gateways?: readonly string[] | Readonly<Record<string, unknown>>;
      readonly port?: number;
      readonly namespace?: string;
    };
    readonly want: boolean;
  };
  const { gateways = [], labels = args.proxyLabels ?? {}, port = 0, namespace = '' } = args;
  const names = Array.isArray(gateways) ? gateways : Object.keys(gateways);
  const held = (names.length > 0 ? names : [MESH]).some((gateway) =>
    canHold(args.match ?? {}, { client: { namespace, labels }, port, gateway }),
  );
  return jsonDifference(want ?? false, held);
}
