import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { startEchoApp, startTcpApp } from './echo-app.ts';
import { startGrpcApp } from './http2-call.ts';
import { KeepAliveClient } from './keep-alive-client.ts';
import { applicationYaml, workloadOf } from './mesh-objects.ts';
import { RealMesh } from './real-mesh.ts';

/** How a request goes: each on a connection that is open. */
export type RequestKind = 'HTTP/1.1' | 'HTTP/2' | 'gRPC';

export const REQUEST_KINDS: readonly RequestKind[] = ['HTTP/1.1', 'HTTP/2', 'gRPC'];

const PORTS = ['http', 'grpc', 'tcp', 'tcp-other'] as const;

const PATH = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies/web';

/**
 * A control plane and one workload, processes of their own, whose policy is changed again and
 * again, and callers with open connections. Paths end in what they stand for: `/open` is allowed by
 * both forms of the policy, `/old` and `/new` by one of them, `/never` by none.
 */
export class ChangingPolicy {
  readonly #mesh: RealMesh;
  readonly #test: Pick<TestContext, 'after'>;
  readonly #appPorts: ReadonlyMap<string, number>;
  readonly #ports: ReadonlyMap<string, number>;

  private constructor(
    mesh: RealMesh,
    test: Pick<TestContext, 'after'>,
    appPorts: ReadonlyMap<string, number>,
    ports: ReadonlyMap<string, number>,
  ) {
    this.#mesh = mesh;
    this.#test = test;
    this.#appPorts = appPorts;
    this.#ports = ports;
  }

  /** Starts everything; ends with the test. */
  static async start(test: Pick<TestContext, 'after'>): Promise<ChangingPolicy> {
    const mesh = new RealMesh(test);
    await mesh.startServer();
    await mesh.apply(applicationYaml('shop', 'web', PORTS));
    const [http, grpc, tcp, other] = await Promise.all([
      startEchoApp(test, 'web'),
      startGrpcApp(test),
      startTcpApp(test),
      startTcpApp(test),
    ]);
    const listening = [http, grpc, tcp.port, other.port];
    const appPorts = new Map(PORTS.map((name, at) => [name, listening[at] ?? 0]));
    const ports = [...appPorts].map(([name, port]) => ({ name, port }));
    const status = await mesh.startAgent('web', {
      // Longer than tests wait: what ends at a change does not end for that.
      drainDuration: '60s',
      workloads: [workloadOf('web', { group: 'web', app: { ports } })],
    });
    const { inbound } = (await status('web')).ports;
    const taken = new Map(inbound.map(({ name, listen }) => [name, listen]));
    return new ChangingPolicy(mesh, test, appPorts, taken);
  }

  /** The old form: ALLOW rules, one of them for the TCP port. */
  async old(): Promise<void> {
    const port = this.#appPorts.get('tcp');
    await this.#apply(`action: ALLOW
  rules:
    - to: [{ operation: { paths: ['*/open'] } }]
    - to: [{ operation: { paths: ['*/old'] } }]
    - to: [{ operation: { ports: ['${port}'] } }]`);
  }

  /** The new form: a DENY rule for all else. */
  async new(): Promise<void> {
    const ports = ['http', 'grpc'].map((name) => `'${this.#appPorts.get(name)}'`);
    await this.#apply(`action: DENY
  rules:
    - to: [{ operation: { notPaths: ['*/open', '*/new'], ports: [${ports}] } }]`);
  }

  /** Nothing is allowed on the TCP port. */
  async withoutTcp(): Promise<void> {
    await this.#apply(`action: DENY
  rules: [{ to: [{ operation: { ports: ['${this.#appPorts.get('tcp')}'] } }] }]`);
  }

  /** Somebody is revoked who may be connected to anybody. */
  async revoke(): Promise<void> {
    await this.#mesh.apply(`
apiVersion: bulwark.mesh/v1alpha1
kind: CertificateRevocation
metadata: { name: gone }
spec: { identity: spiffe://cluster.local/ns/shop/sa/gone }
`);
  }

  async remove(): Promise<void> {
    await this.#mesh.api.expect({ method: 'DELETE', path: PATH });
  }

  async #apply(spec: string): Promise<void> {
    await this.#mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  ${spec}
`);
  }

  /** A caller with a connection of its own. What it asks for is allowed, or not. */
  caller(kind: RequestKind): (path: string) => Promise<boolean> {
    if (kind === 'HTTP/1.1') {
      const client = new KeepAliveClient({ port: this.#port('http') });
      this.#test.after(() => client.close());
      return async (path) => (await client.ask({ target: path })).status === 200;
    }
    const session = connectHttp2(`http://127.0.0.1:${this.#port('grpc')}`);
    this.#test.after(() => session.destroy());
    return (path) => request(session, kind, path);
  }

  /** A TCP connection that the application answered on; undefined when it is refused. */
  async tcp(port: 'tcp' | 'tcp-other' = 'tcp'): Promise<Socket | undefined> {
    const socket = connect(this.#port(port), '127.0.0.1');
    this.#test.after(() => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.write('hello');
    // Refused with a reset is refused.
    const answered = once(socket, 'data').then(
      () => true,
      () => false,
    );
    const ended = once(socket, 'close').then(() => false);
    return (await Promise.race([answered, ended])) ? socket : undefined;
  }

  #port(name: string): number {
    return this.#ports.get(name) ?? 0;
  }
}

async function request(session: ClientHttp2Session, kind: RequestKind, path: string) {
  const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ':path': path, ...(kind === 'gRPC' && grpc) });
  stream.end();
  const ended = once(stream, 'close');
  const [headers] = await once(stream, 'response');
  stream.resume();
  await ended;
  // gRPC says with 200 that it is denied.
  return headers[':status'] === 200 && headers['grpc-status'] === undefined;
}
