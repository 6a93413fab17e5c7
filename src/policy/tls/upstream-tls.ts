import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ClientTls } from '#api/kinds/traffic-policy.ts';
import { PROTOCOLS } from '#model/protocol.ts';
import type { Service } from '#model/service.ts';
import type { Credential } from '#policy/tls/credential.ts';
import type { ClientRule } from '#policy/tls/destination-rules.ts';

/** TLS to servers that are not part of the mesh, or not by the mesh's identities. */
export interface TlsOrigination {
  /** The name asked for (SNI); '' = the host that each request names. */
  readonly sni: string;
  /**
   * DNS names or SPIFFE ids of which the server's certificate must carry one; empty = the host that
   * each request names.
   */
  readonly subjectAltNames: readonly string[];
  /**
   * Secret of the client's namespace that has certificate, key and roots in place of files
   * (credentialName).
   */
  readonly credential: string | undefined;
  /** File with the roots that the server is verified against; undefined = those of the system. */
  readonly caCertificates: string | undefined;
  readonly caCrl: string | undefined;
  /** Only when a user asked for it: take any certificate. */
  readonly verifiesServer: boolean;
  /** Files of the client's own certificate (MUTUAL), or that it is in the Secret. */
  readonly clientCertificate:
    | { readonly certificate: string; readonly privateKey: string }
    | 'credential'
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
  /** Hardening.outsideServersAreNamed. */
  readonly outsideIsNamed: boolean;
  /** What a credentialName stands for, for this client. */
  readonly credential: (name: string) => Credential;
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
      return origination(tls, input);
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

function origination(tls: ClientTls, input: UpstreamTlsInput): UpstreamTls {
  const { service, outsideIsNamed } = input;
  const wildcard = service.host.startsWith('*');
  const sni = tls.sni || (wildcard || !outsideIsNamed ? '' : service.host);
  const verifiesServer = tls.insecureSkipVerify !== true;
  const given = tls.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames;
  const asked = sni !== '' && outsideIsNamed ? [sni] : [];
  const subjectAltNames = given.length > 0 ? given : asked;
  if (outsideIsNamed && verifiesServer && subjectAltNames.length === 0 && !isHttp(input))
    return refuse('a wildcard host needs sni or subjectAltNames where the port is not HTTP');
  const names = { sni, subjectAltNames, verifiesServer };
  return tls.credentialName
    ? fromSecret(tls, tls.credentialName, names, input)
    : fromFiles(tls, names);
}

type Names = Pick<TlsOrigination, 'sni' | 'subjectAltNames' | 'verifiesServer'>;

function fromFiles(tls: ClientTls, names: Names): UpstreamTls {
  const { clientCertificate: certificate, privateKey } = tls;
  const files = certificate && privateKey ? { certificate, privateKey } : undefined;
  if (tls.mode === 'MUTUAL' && !files)
    return refuse('MUTUAL needs clientCertificate and privateKey');
  return {
    mode: 'originate',
    tls: {
      ...names,
      credential: undefined,
      caCertificates: tls.caCertificates || undefined,
      caCrl: tls.caCrl || undefined,
      clientCertificate: tls.mode === 'MUTUAL' ? files : undefined,
    },
  };
}

/**
 * A rule for everybody must not hand out a Secret of each caller's namespace, so only one that
 * selects callers may name one (Istio, "ClientTLSSettings").
 */
function fromSecret(
  tls: ClientTls,
  name: string,
  names: Names,
  { rule, credential }: UpstreamTlsInput,
): UpstreamTls {
  if (!rule?.selectsClient)
    return refuse('credentialName counts only in a DestinationRule with a workloadSelector');
  const { keyPair, trust } = credential(name);
  if (tls.mode === 'MUTUAL' && !keyPair)
    return refuse(`the Secret ${name} has no certificate with its key`);
  if (names.verifiesServer && !trust)
    return refuse(`the Secret ${name} has no authorities to verify the server with`);
  return {
    mode: 'originate',
    tls: {
      ...names,
      credential: name,
      caCertificates: undefined,
      caCrl: undefined,
      clientCertificate: tls.mode === 'MUTUAL' ? 'credential' : undefined,
    },
  };
}

function refuse(reason: string): UpstreamTls {
  return { mode: 'refuse', reason };
}

/** Only a request of HTTP names its host. */
function isHttp({ service, port }: UpstreamTlsInput): boolean {
  const found = service.ports.find((one) => one.port === port);
  return found !== undefined && PROTOCOLS[found.protocol].handling === 'http';
}
