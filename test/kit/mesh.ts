import { kindOf } from '#api/kinds.ts';
import type { ApiObject } from '#api/object.ts';
import { MeshModel } from '#model/mesh-model.ts';
import { type MeshSettings, meshSettings } from '#model/mesh-settings.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { parseTrustDomain, workloadSpiffeId } from '#spiffe/spiffe-id.ts';
import { ConfigGenerator } from '#xds/generate/config-generator.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';

/** A model with what computes the configuration of its proxies. */
export interface TestMesh {
  readonly settings: MeshSettings;
  readonly model: MeshModel;
  readonly generator: ConfigGenerator;
  /** Adds objects, or puts them in place of those of the same name. */
  put(...objects: readonly ApiObject[]): void;
  remove(...objects: readonly ApiObject[]): void;
}

/** A mesh of these objects; settings are those of a new installation but for `changes`. */
export function testMesh(
  objects: readonly ApiObject[],
  changes: Partial<MeshSettings> = {},
): TestMesh {
  const settings = meshSettings(parseTrustDomain('cluster.local'), changes);
  const model = new MeshModel(settings);
  const authorizer = new Authorizer(settings);
  const change = (type: 'MODIFIED' | 'DELETED', changed: readonly ApiObject[]): void => {
    model.apply(changed.map((object) => ({ type, kind: kindIdOf(object), object })));
  };
  const mesh: TestMesh = {
    settings,
    model,
    generator: new ConfigGenerator(settings, { authorizer }),
    put: (...added) => change('MODIFIED', added),
    remove: (...gone) => change('DELETED', gone),
  };
  mesh.put(...objects);
  return mesh;
}

/** A proxy of `default/app`, redirected, with what a test says otherwise. */
export function testProxy(changes: Partial<ProxyNode> = {}): ProxyNode {
  const { namespace = 'default', serviceAccount = 'app', workloadName = 'app-1' } = changes;
  return {
    nodeId: `sidecar~10.0.0.1~${workloadName}.${namespace}~${namespace}.svc.cluster.local`,
    identity: workloadSpiffeId({
      trustDomain: parseTrustDomain('cluster.local'),
      namespace,
      serviceAccount,
    }),
    namespace,
    serviceAccount,
    workloadName,
    labels: {},
    addresses: ['10.0.0.1'],
    interception: 'redirect',
    envoyVersion: '1.40.0',
    ...changes,
  };
}

function kindIdOf(object: ApiObject): string {
  const kind = kindOf(object.apiVersion, object.kind);
  if (!kind) throw new Error(`there is no kind ${object.apiVersion} ${object.kind}`);
  return kind.id;
}
