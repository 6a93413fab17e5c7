import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ProxyNode } from '#xds/proxy-node.ts';
import { startEnvoy, type TestEnvoy } from './envoy.ts';
import { type TestMesh, testProxy } from './mesh.ts';
import type { Pod } from './pod-network.ts';
import { StreamXds } from './stream-xds.ts';
import type { TestAuthority } from './test-authority.ts';

/** What came back for a request of the program in a pod. */
export interface PodAnswer {
  /** 0 = none. */
  readonly status: number;
  readonly body: string;
}

/**
 * Whether network namespaces can be made here. Without root nothing is proved, which continuous
 * integration must not take for a pass.
 */
export function hasRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true;
  t.diagnostic('not run: needs root, nftables, iproute2 and util-linux');
  assert.equal(process.env.CI, undefined, 'continuous integration runs as root');
  return false;
}

/** An Envoy in a redirected pod. */
export interface RedirectedProxy {
  readonly proxy: ProxyNode;
  readonly envoy: TestEnvoy;
  /** Brings it to the present state of the mesh. */
  publish(): void;
}

/** Starts an Envoy in a redirected pod and waits until it serves. */
export async function openRedirectedProxy(
  t: TestContext,
  { mesh, authority, pod }: { mesh: TestMesh; authority: TestAuthority; pod: Pod },
  changes: Partial<ProxyNode>,
  drainSeconds = 1,
): Promise<RedirectedProxy> {
  const proxy = testProxy({ ...changes, addresses: [pod.address] });
  const xds = await StreamXds.start(t);
  const own = authority.issue({ uris: [proxy.identity] });
  xds.publishSecrets({ own, roots: authority.root });
  const publish = (): void => xds.publish(mesh.generator.snapshotFor(proxy, mesh.model.snapshot()));
  publish();
  const drain = ['--drain-strategy', 'immediate', '--drain-time-s', String(drainSeconds)];
  const args = [...drain, '--file-flush-interval-msec', '10'];
  const envoy = await startEnvoy(t, { bootstrap: xds.bootstrap, through: pod.asProxy, args });
  await envoy.ready();
  return { proxy, envoy, publish };
}
