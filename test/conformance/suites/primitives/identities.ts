import { isBulwarkError } from '#base/errors.ts';
import {
  CLIENT_CERT_HEADER,
  parseClientCertHeader,
} from '#ca/attestation/forwarded/client-cert-header.ts';
import { ForwardedCertificateAttestor } from '#ca/attestation/forwarded/forwarded-certificate.ts';
import { Forwarders } from '#ca/attestation/forwarded/forwarders.ts';
import { AttestorList } from '#ca/authenticator.ts';
import { serverNames } from '#policy/tls/server-names.ts';
import {
  parseSpiffeId,
  parseTrustDomain,
  parseWorkloadId,
  type TrustDomain,
  type WorkloadIdentity,
  workloadSpiffeId,
} from '#spiffe/spiffe-id.ts';
import { jsonDifference } from '../../json-difference.ts';
import { checkAudience } from './audience.ts';
import type { PrimitiveCheck } from './row.ts';

/** The parts of an id; undefined when it is none of a workload. */
function identityOf(id: string): WorkloadIdentity | undefined {
  try {
    return parseWorkloadId(parseSpiffeId(id));
  } catch (error) {
    if (isBulwarkError(error, 'SPIFFE_INVALID')) return undefined;
    throw error;
  }
}

const identity: PrimitiveCheck = ({ fields }) =>
  jsonDifference(fields.expected, identityOf(String(fields.input ?? '')));

const generated: PrimitiveCheck = ({ fields }) => {
  const {
    namespace = '',
    serviceAccount = '',
    trustDomain = '',
    expectedURI,
  } = fields as {
    readonly namespace?: string;
    readonly serviceAccount?: string;
    readonly trustDomain?: string;
    readonly expectedURI?: string;
  };
  const wanted = fields.expectedError ? 'refused' : expectedURI;
  try {
    const parts = { trustDomain: parseTrustDomain(trustDomain), namespace, serviceAccount };
    return jsonDifference(wanted, workloadSpiffeId(parts));
  } catch (error) {
    if (!isBulwarkError(error, 'SPIFFE_INVALID')) throw error;
    return jsonDifference(wanted, 'refused');
  }
};

/** The names that a server may have which these ids stand for. */
const expanded: PrimitiveCheck = ({ fields }) => {
  const { spiffeURI, trustDomains } = fields as {
    readonly spiffeURI?: readonly string[] | null;
    readonly trustDomains?: readonly string[] | null;
  };
  const others = (trustDomains ?? []).map((name) => name as TrustDomain);
  const names = (spiffeURI ?? []).flatMap((id) => namesOf(id, others));
  const found = Object.fromEntries(names.map((name) => [name, {}]));
  return jsonDifference(fields.want ?? {}, found);
};

/** The test has no trust domain of its own: each id is of the one that it names. */
function namesOf(id: string, others: readonly TrustDomain[]): readonly string[] {
  const own = identityOf(id)?.trustDomain;
  const names = serverNames({
    service: { namespace: '', subjectAltNames: [] },
    endpoints: { identities: [], unnamedNamespaces: [] },
    trustDomains: own === undefined ? others : [own, ...others],
    asked: [id],
    unknownIsNarrowed: false,
  });
  return names.ids;
}

/** As where the word of proxies is taken at all, by the profile `istio`. */
const trustedAddress: PrimitiveCheck = ({ fields }) => {
  const {
    cidr = '',
    peer = '',
    trusted = false,
  } = fields as {
    readonly cidr?: string;
    readonly peer?: string;
    readonly trusted?: boolean;
  };
  const ranges = cidr === '' ? [] : cidr.split(',');
  return jsonDifference(trusted, new Forwarders({ ranges, loopback: true }).trusts(peer));
};

/** The names that a header tells, in Istio's order: of each element URIs, DNS names and subject. */
function namesInHeader(header: string): readonly string[] | undefined {
  return parseClientCertHeader(header)?.flatMap(({ uris, dnsNames, subject }) => {
    const commonName = /(?:^|,)CN=((?:[^,\\]|\\.)*)/.exec(subject)?.[1];
    return [...uris, ...dnsNames, ...(commonName === undefined ? [] : [commonName])];
  });
}

const forwarded: PrimitiveCheck = async ({ fields }) => {
  const {
    xfccHeader = '',
    caller,
    authenticateErrMsg,
  } = fields as {
    readonly xfccHeader?: string;
    readonly caller?: { readonly Identities?: readonly string[] };
    readonly authenticateErrMsg?: string;
  };
  if (!authenticateErrMsg) return jsonDifference(caller?.Identities, namesInHeader(xfccHeader));
  const trustDomain = parseTrustDomain('mesh.example.com');
  const forwarders = new Forwarders({ ranges: ['127.0.0.1/32'], loopback: false });
  const attestor = new ForwardedCertificateAttestor(
    { trustDomain, trustDomains: [trustDomain], forwarders },
    { accountExists: async () => true },
  );
  const call = {
    metadata: { [CLIENT_CERT_HEADER]: xfccHeader },
    peer: { address: '127.0.0.1:2301', verifiedCertificate: undefined },
  };
  try {
    const found = await new AttestorList([attestor]).authenticate(call);
    return `taken for ${found.identity}, want: ${authenticateErrMsg}`;
  } catch (error) {
    if (!isBulwarkError(error, 'CA_UNAUTHENTICATED')) throw error;
    const reason = xfccHeader === '' ? /carries no proof/ : /x-forwarded-client-cert .* does not/;
    return reason.test(error.message) ? undefined : `refused for another reason: ${error.message}`;
  }
};

/** Identities, and who is one. */
export const IDENTITY_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestGenSpiffeURI: generated,
  TestExpandWithTrustDomains: expanded,
  TestIdentity: identity,
  TestCheckAudience: checkAudience,
  TestIsTrustedAddress: trustedAddress,
  TestXfccAuthenticator: forwarded,
};
