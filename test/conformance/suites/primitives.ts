import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddressRange } from '#policy/authz/address-range.ts';
import { cidrRange } from '#xds/generate/authz/matchers.ts';
import { caseNames } from '../case-names.ts';
import { jsonDifference } from '../json-difference.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { CLUSTER_CHECKS } from './primitives/clusters.ts';
import { GATEWAY_CHECKS } from './primitives/gateways.ts';
import { HOST_CHECKS } from './primitives/hosts.ts';
import { IDENTITY_CHECKS } from './primitives/identities.ts';
import { MATCHER_CHECKS } from './primitives/matchers.ts';
import { MESH_CONFIG_CHECKS } from './primitives/mesh-config.ts';
import { PROTOCOL_CHECKS } from './primitives/protocols.ts';
import { absent, type PrimitiveCheck, type PrimitiveRow } from './primitives/row.ts';
import { SECRET_RIGHT_CHECKS } from './primitives/secret-rights.ts';

/** A block of addresses as a policy writes it; null = none. */
const addressBlock: PrimitiveCheck = ({ fields }) => {
  const { addr = '', want = null } = fields as { readonly addr?: string; readonly want?: unknown };
  const range = parseAddressRange(addr);
  if (range === undefined) return jsonDifference(want, null);
  const { addressPrefix, prefixLen } = cidrRange(range);
  return jsonDifference(want, { addressPrefix, prefixLen });
};

/** How to check the rows of each test of Istio; those of one subject in one file. */
const CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  ...PROTOCOL_CHECKS,
  ...HOST_CHECKS,
  ...IDENTITY_CHECKS,
  ...MATCHER_CHECKS,
  ...CLUSTER_CHECKS,
  ...GATEWAY_CHECKS,
  ...SECRET_RIGHT_CHECKS,
  ...MESH_CONFIG_CHECKS,
  TestConvertAddressToCidr: addressBlock,
};

/** Small functions: given → wanted. */
export const suite: ConformanceSuite = {
  name: 'primitives',
  run: async (directory) => {
    const text = readFileSync(join(directory, 'primitives.json'), 'utf8');
    const unique = caseNames();
    const rows = (JSON.parse(text) as PrimitiveRow[]).map((row) =>
      result(row, unique(`${row.suite} ${row.name}`.trim())),
    );
    return await Promise.all(rows);
  },
};

async function result(row: PrimitiveRow, name: string): Promise<CaseResult> {
  try {
    const check = CHECKS[row.suite] ?? absent(`rows of ${row.suite}`);
    const detail = await check(row);
    if (detail === undefined) return { case: name, outcome: 'passed' };
    return { case: name, outcome: 'failed', detail };
  } catch (error) {
    return { case: name, outcome: 'failed', detail: String(error) };
  }
}
