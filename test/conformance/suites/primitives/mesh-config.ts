import { parse } from 'yaml';
import { mergeMeshConfig } from '#api/mesh-merge.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

type Fields = Readonly<Record<string, unknown>>;
const read = (text: unknown): Fields => (parse(String(text ?? '')) as Fields | null) ?? {};

/** What the test of Istio merges into; its rows leave it out. */
const MERGED_INTO = {
  defaultProviders: { metrics: ['stackdriver'] },
  extensionProviders: [{ name: 'stackdriver', stackdriver: { maxNumberOfAttributes: 3 } }],
  trustDomainAliases: ['default', 'both'],
};

const meshConfig: PrimitiveCheck = ({ fields }) =>
  jsonDifference(read(fields.out), mergeMeshConfig(MERGED_INTO, read(fields.in)));

const proxyConfig: PrimitiveCheck = ({ fields }) => {
  const [base, overlay] = [read(fields.base), read(fields.overlay)];
  const merged = mergeMeshConfig({ defaultConfig: base }, { defaultConfig: overlay });
  return jsonDifference(read(fields.result), merged.defaultConfig);
};

/** Settings of the mesh and of proxies, merged. */
export const MESH_CONFIG_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestDeepMerge: meshConfig,
  TestProxyConfigMerge: proxyConfig,
};
