import { urlHost } from '#controlplane/network.ts';
import { commonHosts, hostsForNamespace } from '#policy/gateway/server-hosts.ts';
import { hostCovers, narrowerFirst } from '#policy/tls/host-match.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

interface Pair {
  readonly a?: string;
  readonly b?: string;
  readonly out?: boolean;
}

/** Two names match when one of them is within the other. */
const matches: PrimitiveCheck = ({ fields }) => {
  const { a = '', b = '', out = false } = fields as Pair;
  return jsonDifference(out, hostCovers(a, b) || hostCovers(b, a));
};

const isSubset: PrimitiveCheck = ({ fields }) => {
  const { a = '', b = '', out = false } = fields as Pair;
  return jsonDifference(out, hostCovers(b, a));
};

const sortOrder: PrimitiveCheck = ({ fields }) => {
  const given = fields.in as readonly string[];
  return jsonDifference(fields.want, given.toSorted(narrowerFirst));
};

const moreSpecific: PrimitiveCheck = ({ fields }) => {
  const {
    host1 = '',
    host2 = '',
    expected = false,
  } = fields as {
    readonly host1?: string;
    readonly host2?: string;
    readonly expected?: boolean;
  };
  // Of two that are the same the test takes the first.
  return jsonDifference(expected, narrowerFirst(host1, host2) <= 0);
};

const compliant: PrimitiveCheck = ({ fields }) =>
  jsonDifference(fields.match, urlHost(String(fields.host ?? '')));

const domainName: PrimitiveCheck = ({ fields }) =>
  jsonDifference(fields.match, `${urlHost(String(fields.host ?? ''))}:${fields.port}`);

const intersection: PrimitiveCheck = ({ fields }) => {
  const { a, b } = fields as { readonly a: readonly string[]; readonly b: readonly string[] };
  return jsonDifference(listOf(fields.intersection), commonHosts(a, b));
};

const ofNamespace: PrimitiveCheck = ({ fields }) => {
  const hosts = fields.hosts as readonly string[];
  const found = hostsForNamespace(hosts, String(fields.namespace), '');
  return jsonDifference(listOf(fields.want), found);
};

/** None is written as an object. */
function listOf(value: unknown): unknown {
  return Array.isArray(value) ? value : [];
}

/** Names of hosts. */
export const HOST_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestNameMatches: matches,
  TestNameSubsetOf: isSubset,
  TestNamesSortOrder: sortOrder,
  TestMoreSpecific: moreSpecific,
  TestNamesIntersection: intersection,
  TestNamesForNamespace: ofNamespace,
  TestIPv6Compliant: compliant,
  TestDomainName: domainName,
};
