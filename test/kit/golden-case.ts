import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { ApiObject } from '#api/object.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { TYPE_URL, XdsSnapshot } from '#xds/resource.ts';
import { testMesh, testProxy } from './mesh.ts';

/** A case of src/xds/generate/testdata: what one proxy gets from some objects. */
export interface GoldenCase {
  /** What it shows: a statement. */
  readonly about: string;
  /** Types of which the expected output holds the resources. */
  readonly show: readonly (keyof typeof TYPE_URL)[];
  /** Whether the expected output holds the formats of access logs. */
  readonly showsLogs?: boolean;
  readonly settings?: Partial<MeshSettings>;
  readonly proxy?: Partial<ProxyNode>;
  readonly objects: readonly ApiObject[];
}

/** The configuration of the proxy of a case. */
export function goldenSnapshot({ settings, proxy, objects }: GoldenCase): XdsSnapshot {
  const mesh = testMesh(objects, settings);
  return mesh.generator.snapshotFor(testProxy(proxy), mesh.model.snapshot());
}

/** Every case, by name. */
export function goldenCases(): ReadonlyMap<string, GoldenCase> {
  const folder = new URL('../../src/xds/generate/testdata/', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.in.yaml'));
  return new Map(
    files.map((file) => [
      file.slice(0, -'.in.yaml'.length),
      parse(readFileSync(new URL(file, folder), 'utf8')) as GoldenCase,
    ]),
  );
}
