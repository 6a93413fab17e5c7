import { DEFAULT_BINDINGS, DEFAULT_ROLES } from '#apiserver/rbac/default-roles.ts';
import { Rbac } from '#apiserver/rbac/rbac.ts';
import { type SecretRights, secretRights } from '#apiserver/rbac/secret-rights.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MemoryStore } from '#store/memory-store.ts';
import { FakeClock } from '../../../fakes/fake-clock.ts';
import { objectsOf } from '../../../kit/objects.ts';
import { jsonDifference } from '../../json-difference.ts';
import type { PrimitiveCheck } from './row.ts';

/** An account that the API server of a cluster lets read Secrets, by Istio's own role. */
const reader = (namespace: string): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: gateway-sds, namespace: ${namespace} }
rules: [{ apiGroups: [''], resources: [secrets], verbs: [get, watch, list] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: gateway-sds, namespace: ${namespace} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: gateway-sds }
subjects: [{ kind: ServiceAccount, name: sa-allowed }]
`;

/** The clusters of the test: each has an API server, and so rights, of its own. */
const READERS: Readonly<Record<string, string>> = {
  local: reader('ns-local'),
  remote: reader('ns-remote'),
  remote2: reader('ns-remote'),
};

/** The rights at the API server of a cluster while `use` runs; undefined = nobody knows it. */
async function atCluster<T>(
  cluster: string,
  use: (rights: SecretRights | undefined) => T,
): Promise<T> {
  const objects = READERS[cluster];
  if (objects === undefined) return use(undefined);
  const deps = { clock: new FakeClock(), random: systemRandom, log: silentLogger };
  const store = new MemoryStore(deps);
  const rbac = new Rbac({ roles: DEFAULT_ROLES, bindings: DEFAULT_BINDINGS }, { ...deps, store });
  await rbac.start();
  try {
    for (const object of objectsOf(objects)) await store.create(object);
    return use(secretRights(rbac.authorizer, () => {}));
  } finally {
    await rbac.close();
  }
}

const forCluster: PrimitiveCheck = ({ fields }) =>
  atCluster(String(fields.cluster ?? ''), (rights) =>
    jsonDifference(fields.allowed ?? false, rights !== undefined),
  );

const authorized: PrimitiveCheck = ({ fields }) => {
  const { sa: serviceAccount = '', ns: namespace = '', cluster = '', allowed = false } = fields;
  const account = { namespace: String(namespace), serviceAccount: String(serviceAccount) };
  return atCluster(String(cluster), (rights) =>
    jsonDifference(allowed, rights?.mayRead(account, 'cert') ?? false),
  );
};

/** Who may be handed Secrets. */
export const SECRET_RIGHT_CHECKS: Readonly<Record<string, PrimitiveCheck>> = {
  TestForCluster: forCluster,
  TestAuthorize: authorized,
};
