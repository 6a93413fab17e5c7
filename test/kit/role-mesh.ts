import type { TestContext } from 'node:test';
import { startEchoApp } from './echo-app.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import { accountsYaml, applicationYaml, yamlOf } from './mesh-objects.ts';
import { callPeer, httpRequest, statusOf } from './peer-call.ts';
import { RealMesh } from './real-mesh.ts';
import { TokenIssuer } from './token-issuer.ts';

/** The services of the documents' examples of roles, and one of another namespace. */
export const SERVERS = [
  { name: 'products', namespace: 'default' },
  { name: 'bookstore', namespace: 'default' },
  { name: 'test-api', namespace: 'default' },
  { name: 'elsewhere', namespace: 'ns1' },
] as const;
/** Accounts of the examples. */
export const A = 'service-account-a';
/** As above. */
export const INGRESS = 'istio-ingress-service-account';
/** Who calls: accounts of namespace `default`. */
export const CALLERS = [A, INGRESS, 'somebody'] as const;
type Caller = (typeof CALLERS)[number];
/** One of them. */
export type Server = (typeof SERVERS)[number]['name'];

/** Who signs the tokens that all services of `default` know. */
export const users = new TokenIssuer('https://users.test');
const TOKENS = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: default }
spec: { jwtRules: [{ issuer: "${users.issuer}", jwks: '${users.keySet}' }] }
`;

/** A request from one of the accounts. */
export interface Asked {
  readonly from?: Caller;
  readonly to: Server;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const OBJECTS = yamlOf(
  accountsYaml('default', ...CALLERS),
  ...SERVERS.map(({ name, namespace }) => applicationYaml(namespace, name)),
  TOKENS,
);

/** A mesh with the services and the accounts of the examples, and what asks one for another. */
export async function startRoleMesh(t: TestContext) {
  const mesh = new RealMesh(t);
  await mesh.startServer();
  await mesh.apply(OBJECTS);
  const mode = 'explicit';
  const servers = await Promise.all(
    SERVERS.map(async ({ name, namespace }) => {
      const app = { ports: [{ name: 'http', port: await startEchoApp(t, name) }] };
      return { name, namespace, serviceAccount: name, group: name, mode, app };
    }),
  );
  const callers = CALLERS.map((name) => ({
    name,
    namespace: 'default',
    serviceAccount: name,
    mode,
  }));
  const status = await mesh.startAgent('agent', { workloads: [...servers, ...callers] });
  const clients = new Map<Caller, KeepAliveClient>();
  for (const name of CALLERS) {
    const client = new KeepAliveClient({ port: (await status(name)).ports.httpProxyPort });
    t.after(() => client.close());
    clients.set(name, client);
  }
  const ask = async ({ from = 'somebody', to, method, path = '/', headers }: Asked) => {
    const namespace = SERVERS.find(({ name }) => name === to)?.namespace;
    const target = `http://${to}.${namespace}${path}`;
    const answer = await clients.get(from)?.ask({
      target,
      ...(method ? { method } : {}),
      ...(headers ? { headers } : {}),
    });
    return answer?.status ?? 0;
  };
  const askWithoutIdentity = async (to: Server): Promise<number> => {
    const [port] = (await status(to)).ports.inbound;
    return statusOf(await callPeer({ port: port?.listen ?? 0, data: httpRequest('/') }));
  };
  return { mesh, ask, askWithoutIdentity };
}
