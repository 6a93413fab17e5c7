import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ClientTls } from '#api/kinds/traffic-policy.ts';
import type { Service } from '#model/service.ts';
import type { ClientRule } from '#policy/tls/destination-rules.ts';

/** TLS to servers that are not part of the mesh, or not by the mesh's identities. */
export interface TlsOrigination {
  /** The name asked for (SNI); '' = none. */
  readonly sni: string;
  /** DNS names or SPIFFE ids of which the server's certificate must carry one. */
  readonly subjectAltNames: readonly string[];
  /** File with the roots that the server is verified against; undefined = those of the system. */
  readonly caCertificates: string | undefined;
  readonly caCrl: string | undefined;
  /** Only when a user asked for it: take any certificate. */
  readonly verifiesServer: boolean;
  /** Files of the client's own certificate (MUTUAL). */
  readonly clientCertificate:
    | { readonly certificate: string; readonly privateKey: string }
    | undefined;
}

/** How a client connects to the endpoints of a service port. */
export type UpstreamTls =
  /** Mutual TLS of the mesh to each endpoint that takes it, plaintext to the others. */
  | { readonly mode: 'auto' }
  | { readonly mode: 'plain' }
  /**
   * Mutual TLS of the mesh to every endpoint. `sni` and names as a user wants them; undefined = the
   * mesh's own.
   */
  | {
      readonly mode: 'mesh';
      readonly sni: string | undefined;
      readonly subjectAltNames: readonly string[];
    }
  | { readonly mode: 'originate'; readonly tls: TlsOrigination }
  /**
   * A user asks for what cannot be done: no connection is made, for it would be less safe than what
   * was asked.
   */
  | { readonly mode: 'refuse'; readonly reason: string };

/** What `upstreamTls` decides from. */
export interface UpstreamTlsInput {
  readonly service: Service;
  readonly port: number;
  readonly rule: ClientRule | undefined;
  /** A subset of the rule; '' = the service as a whole. */
  readonly subset: string;
  readonly autoMtls: boolean;
}

/**
 * How clients connect to a service port: as the DestinationRule says (settings of a port replace
 * those of the whole, settings of a subset come before both), else by auto mTLS, which endpoints
 * outside of the mesh do not take.
 */
export function upstreamTls(input: UpstreamTlsInput): UpstreamTls {
  const { service, rule, port, subset, autoMtls } = input;
  const tls = rule && writtenTls(rule, port, subset)?.tls;
  if (!tls) return autoMtls && !service.external ? { mode: 'auto' } : { mode: 'plain' };
  switch (tls.mode ?? 'DISABLE') {
    case 'DISABLE':
      return { mode: 'plain' };
    case 'ISTIO_MUTUAL':
      return {
        mode: 'mesh',
        sni: tls.sni || undefined,
        subjectAltNames: tls.subjectAltNames ?? [],
      };
    case 'SIMPLE':
    case 'MUTUAL':
      return origination(tls, service);
  }
}

/** TLS settings as they are written, and the object that they are in. */
export interface WrittenTls {
  readonly tls: ClientTls | undefined;
  readonly from: DestinationRule;
}

/** What a rule says about a port of a service or of one of its subsets; undefined = nothing. */
export function writtenTls(rule: ClientRule, port: number, subset: string): WrittenTls | undefined {
  const part = rule.subsets.find(({ name }) => name === subset);
  for (const { policy, from } of part ? [part, rule] : [rule]) {
    const ofPort = policy?.portLevelSettings?.find((entry) => entry.port?.number === port);
    if (ofPort) return { tls: ofPort.tls, from };
    if (policy?.tls) return { tls: policy.tls, from };
  }
  return undefined;
}

function origination(tls: ClientTls, service: Service): UpstreamTls {
  if (tls.credentialName)
    return { mode: 'refuse', reason: 'credentialName is for gateways; name files instead' };
  const wildcard = service.host.startsWith('*');
  const sni = tls.sni || (wildcard ? '' : service.host);
  const verifiesServer = tls.insecureSkipVerify !== true;
  const given = tls.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames;
  const subjectAltNames = given.length > 0 || sni === '' ? given : [sni];
  const { clientCertificate: certificate, privateKey } = tls;
  if (tls.mode === 'MUTUAL' && !(certificate && privateKey))
    return { mode: 'refuse', reason: 'MUTUAL needs clientCertificate and privateKey' };
  if (verifiesServer && subjectAltNames.length === 0)
    return { mode: 'refuse', reason: 'a wildcard host needs sni or subjectAltNames' };
  return {
    mode: 'originate',
    tls: {
      sni,
      subjectAltNames,
      caCertificates: tls.caCertificates || undefined,
      caCrl: tls.caCrl || undefined,
      verifiesServer,
      clientCertificate:
        tls.mode === 'MUTUAL' && certificate && privateKey
          ? { certificate, privateKey }
          : undefined,
    },
  };
}
