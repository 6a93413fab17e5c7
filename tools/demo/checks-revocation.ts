import { KeepAliveClient, SteadyLoad } from '../../test/kit/keep-alive-client.ts';
import { waitUntil } from '../../test/kit/wait-until.ts';
import { type DemoCheck, expect } from './check.ts';

const BACKEND = 'http://photo-backend.photo-ns/photos';
const DATASTORE = 'http://datastore.datastore-ns/photos';

/** What is shown of revocation. */
export const REVOCATION_CHECKS: readonly DemoCheck[] = [
  {
    name: 'revoked-peer-off',
    title: 'revoked peer is off, open connections included',
    async run(world) {
      const client = new KeepAliveClient({ port: world.httpProxyPortOf('photo-frontend') });
      const load = new SteadyLoad({
        port: world.httpProxyPortOf('photo-backend'),
        ask: { target: DATASTORE },
        connections: 2,
      });
      const opened = () => world.connectionsTo('photo-frontend', 'photo-backend.photo-ns');
      const becomes = (wanted: number) =>
        waitUntil(
          async () => (await client.ask({ target: BACKEND })).status === wanted,
          `status ${wanted} on the open connection`,
          { everyMs: 1 },
        );
      const identity = world.identityOf('photo-frontend');
      const command = (name: string) =>
        world.server.command(['cert', name, '--identity', identity]);
      try {
        const { status } = await client.ask({ target: BACKEND });
        expect(status === 200, `before the revocation it answered ${status}`);
        const before = await opened();
        const fromMs = performance.now();
        await Promise.all([becomes(403), command('revoke')]);
        const tookMs = Math.round(performance.now() - fromMs);
        expect((await opened()) === before, 'the mutual TLS connection was opened anew');
        const { reason } = await world.denialAt('photo-backend', 'photo-frontend', /revoked/);
        await Promise.all([becomes(200), command('unrevoke')]);
        const report = await load.stop();
        expect(report.failed === 0, `${report.failed} failed: ${report.failures.join(' | ')}`);
        const what = `403 on the same connection, ${tookMs} ms with the command; ${reason}`;
        return `${what}; others: ${report.sent} requests, 0 failed; un-revoked: 200`;
      } finally {
        client.close();
        await load.stop();
      }
    },
  },
];
