import { isBulwarkError } from '#base/errors.ts';
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
import { absent, type PrimitiveCheck } from './row.ts';

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

const byHeader = absent('who asks the CA is proved by a token or a certificate, never by a header');

/** Identities, and who is one. */
export const IDENTITY_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestGenSpiffeURI: generated,
  TestExpandWithTrustDomains: expanded,
  TestIdentity: identity,
  TestCheckAudience: checkAudience,
  TestIsTrustedAddress: byHeader,
  TestXfccAuthenticator: byHeader,
};
