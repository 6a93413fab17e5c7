import { KeepAliveClient, SteadyLoad } from '../../test/kit/keep-alive-client.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import { type DemoCheck, expect } from './check.ts';
import type { DemoWorld } from './world.ts';

const BACKEND = 'http://photo-backend.photo-ns/photos';

const LOCKDOWN = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: lockdown, namespace: photo-ns}
spec:
  selector: {matchLabels: {app: photo-backend}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/photos*"]}}]}]
`;

/**
 * Asks on one open connection until the status is `wanted`; gives the milliseconds since `fromMs`.
 */
async function askUntil(client: KeepAliveClient, wanted: number, fromMs: number): Promise<number> {
  const look = async (): Promise<number | undefined> => {
    const { status, reused } = await client.ask({ target: BACKEND });
    if (!reused) throw new Error('the connection was not the same');
    return status === wanted ? performance.now() - fromMs : undefined;
  };
  const options = { withinMs: 30_000, everyMs: 1 };
  return waitUntil(look, `status ${wanted} on the open connection`, options);
}

async function changeOnOpenConnection(
  world: DemoWorld,
  change: () => Promise<void>,
  [before, after]: readonly [number, number],
): Promise<string> {
  const client = new KeepAliveClient({ port: world.httpProxyPortOf('photo-frontend') });
  try {
    const first = await client.ask({ target: BACKEND });
    expect(first.status === before, `before the change it answered ${first.status}`);
    const upstreamBefore = await world.connectionsTo('photo-frontend', 'photo-backend.photo-ns');
    const fromMs = performance.now();
    const [tookMs] = await Promise.all([askUntil(client, after, fromMs), change()]);
    const upstreamAfter = await world.connectionsTo('photo-frontend', 'photo-backend.photo-ns');
    expect(upstreamAfter === upstreamBefore, 'the mutual TLS connection was opened anew');
    return `${before} → ${after} ${Math.round(tookMs)} ms after the change was sent, same connection`;
  } finally {
    client.close();
  }
}

/** What happens while things change: policies, certificates, the control plane itself. */
export const CHANGE_CHECKS: readonly DemoCheck[] = [
  {
    name: 'policy-change-on-open-connection',
    title: 'a policy change takes effect on an open connection',
    run: (world) => changeOnOpenConnection(world, () => world.server.apply(LOCKDOWN), [200, 403]),
  },
  {
    name: 'policy-change-back',
    title: 'and back',
    run: (world) => {
      const path = '/apis/security.istio.io/v1/namespaces/photo-ns/authorizationpolicies/lockdown';
      return changeOnOpenConnection(world, () => world.server.remove(path), [403, 200]);
    },
  },
  {
    name: 'rotation-under-load',
    title: 'certificates rotate under load',
    async run(world) {
      const before = await world.serials();
      const load = new SteadyLoad({
        port: world.appPortOf('photo-frontend'),
        ask: { target: '/' },
        connections: 4,
      });
      try {
        const replaced = async (): Promise<boolean> => {
          const now = await world.serials();
          return [...now].every(([name, serial]) => serial !== before.get(name));
        };
        await waitUntil(replaced, 'new certificates everywhere', {
          withinMs: 30_000,
          everyMs: 100,
        });
      } finally {
        await load.stop();
      }
      const report = await load.stop();
      expect(report.failed === 0, `${report.failed} failed: ${report.failures.join(' | ')}`);
      return `${before.size} certificates replaced, ${report.sent} requests, 0 failed`;
    },
  },
  {
    name: 'server-killed-traffic-goes-on',
    title: 'server killed with SIGKILL: traffic goes on',
    async run(world) {
      const load = new SteadyLoad({
        port: world.appPortOf('photo-frontend'),
        ask: { target: '/' },
        connections: 2,
      });
      try {
        await world.server.kill();
        const sentBefore = load.sent;
        const what = '100 more requests while the server is dead';
        await waitUntil(() => load.sent >= sentBefore + 100, what, { withinMs: 60_000 });
      } finally {
        await load.stop();
      }
      const report = await load.stop();
      expect(report.failed === 0, `${report.failed} failed: ${report.failures.join(' | ')}`);
      return `${report.sent} requests, 0 failed`;
    },
  },
  {
    name: 'server-restarted-nothing-lost',
    title: 'server restarted: nothing lost, the next policy change works',
    async run(world) {
      const before = world.server.objectsBeforeKill;
      await world.server.start();
      const after = await world.server.listObjects();
      const lost = [...before].filter((name) => !after.has(name));
      expect(lost.length === 0, `lost: ${lost.join(', ')}`);
      const client = new KeepAliveClient({ port: world.httpProxyPortOf('photo-frontend') });
      try {
        await client.ask({ target: BACKEND });
        const fromMs = performance.now();
        await world.server.apply(LOCKDOWN);
        const answers = async (status: number): Promise<boolean> =>
          (await client.ask({ target: BACKEND })).status === status;
        await waitUntil(() => answers(403), 'the policy in force', { withinMs: 30_000 });
        const tookMs = Math.round(performance.now() - fromMs);
        await world.server.remove(
          '/apis/security.istio.io/v1/namespaces/photo-ns/authorizationpolicies/lockdown',
        );
        await waitUntil(() => answers(200), 'the policy gone');
        return `${after.size} objects as before; policy in force ${tookMs} ms after apply`;
      } finally {
        client.close();
      }
    },
  },
  {
    name: 'identities-listed',
    title: 'identities and expiry',
    async run(world) {
      const identities = await world.identities();
      expect(identities.length === 3, `${identities.length} identities`);
      const lines = identities.map(({ identity, notAfter }) => {
        const leftS = Math.round((Date.parse(notAfter) - Date.now()) / 1000);
        expect(leftS > 0, `${identity} expired at ${notAfter}`);
        return `\n      ${identity}  expires ${notAfter} (in ${leftS} s, renewed at half life)`;
      });
      return lines.join('');
    },
  },
];
