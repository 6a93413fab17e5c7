import { type DemoCheck, expect } from './check.ts';

/** Who may call whom: the three-tier scenario of the documents. */
export const ACCESS_CHECKS: readonly DemoCheck[] = [
  {
    name: 'frontend-to-backend-allowed',
    title: 'frontend → backend allowed',
    async run(world) {
      const { status, body } = await world.frontendPage();
      expect(status === 200, `the page answered ${status}: ${body.slice(0, 200)}`);
      expect(/<img|<figure/.test(body), 'the page shows no photo');
      const calls = await world.requestsServed('photo-backend');
      expect(calls > 0, 'the Envoy of photo-backend saw no request');
      return `200, a page of photos, over mutual TLS (${calls} request(s) at its Envoy)`;
    },
  },
  {
    name: 'backend-to-datastore-allowed',
    title: 'backend → datastore allowed',
    async run(world) {
      const { status, body } = await world.callAs(
        'photo-backend',
        'http://datastore.datastore-ns/photos',
      );
      expect(status === 200, `answered ${status}: ${body.slice(0, 200)}`);
      const photos: unknown = JSON.parse(body);
      const count = Array.isArray(photos) ? photos.length : 0;
      expect(count > 0, `no photos in ${body.slice(0, 200)}`);
      return `200, ${count} photos`;
    },
  },
  {
    name: 'frontend-to-datastore-denied',
    title: 'frontend → datastore denied by policy',
    async run(world) {
      const { status, body } = await world.callAs(
        'photo-frontend',
        'http://datastore.datastore-ns/photos',
      );
      expect(status === 403, `answered ${status}: ${body.slice(0, 200)}`);
      const denial = await world.denialAt('datastore', 'photo-frontend');
      expect(
        denial.policies.includes('datastore-ns/datastore-callers'),
        `the agent names other policies: ${denial.policies.join(', ') || 'none'}`,
      );
      return `403 "${body.trim()}"; ${denial.reason}`;
    },
  },
];
