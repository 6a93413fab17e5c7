import { SteadyLoad } from '../../test/kit/keep-alive-client.ts';
import { type DemoCheck, expect } from './check.ts';

const STEPS = ['prepare', 'activate', 'taint', 'revoke'] as const;

/** What is shown of the rotation of the mesh's root. */
export const ROTATION_CHECKS: readonly DemoCheck[] = [
  {
    name: 'root-rotated-under-load',
    title: 'root rotated under load, 0 failed',
    async run(world) {
      const before = await world.server.rootKeyIds();
      const load = new SteadyLoad({
        port: world.appPortOf('photo-frontend'),
        ask: { target: '/' },
        connections: 2,
      });
      try {
        for (const step of STEPS) await world.server.command(['ca', 'rotate', step]);
      } finally {
        await load.stop();
      }
      const report = await load.stop();
      expect(report.failed === 0, `${report.failed} failed: ${report.failures.join(' | ')}`);
      const after = await world.server.rootKeyIds();
      const kept = after.filter((keyId) => before.includes(keyId));
      expect(after.length === 1 && kept.length === 0, `roots now: ${after.join(', ')}`);
      const identities = await world.identities();
      const [root = ''] = after;
      const what = `${identities.length} workloads moved to root ${root.slice(0, 8)}`;
      return `${what}, ${report.sent} requests, 0 failed`;
    },
  },
];
