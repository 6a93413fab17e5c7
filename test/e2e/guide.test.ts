// The commands of the guide's first page work as they stand there: a server, kubectl, three
// applications, real Envoys, and a rule that is changed and taken back. Only ports and the data
// folder are put in place of the page's.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GuidePage, startGuideMesh } from '../kit/guide-mesh.ts';
import { waitUntil } from '../kit/wait-until.ts';

describe('the guide', () => {
  test('takes the three tiers into the mesh, and a rule out of force and back', async (t) => {
    const page = new GuidePage('getting-started.md');
    const { terminal, server, objects, ask } = await startGuideMesh(t);
    assert.match(objects, /datastore-callers +ALLOW/);
    const refused = page.blockWith('RBAC: access denied').split('\n')[1] ?? '';
    assert.equal(await ask('/try-datastore'), refused);
    assert.match(await terminal.shell('bin/bulwark.js proxy-status'), /photo-frontend/);

    await terminal.shell(page.blockWith('kubectl patch').split('\ncurl')[0] ?? '');
    const letIn = async () => (await ask('/try-datastore')).includes('"status":200');
    await waitUntil(letIn, 'the frontend to be let in');
    await terminal.shell('kubectl apply -f samples/photo/06-authorization.yaml');
    await waitUntil(async () => (await ask('/try-datastore')) === refused, 'the rule to be back');

    const policies = new GuidePage('policies.md');
    const applied = await terminal.shell(policies.blockWith('--wait'));
    assert.match(applied, /datastore-callers enforced on 1 of 1 proxy/);
    const asked = await terminal.shell(policies.blockWith('kubectl wait'));
    assert.match(asked, /datastore-callers +ENFORCED[\s\S]*condition met/);

    await server.kill();
    assert.match(await ask('/'), /<figure>/);
  });
});
