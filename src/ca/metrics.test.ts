import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Metrics } from '#base/metrics.ts';
import { declareCaMetrics, declareExpiryMetrics } from '#ca/metrics.ts';
import { SelfSignedSigner } from '#ca/self-signed-signer.ts';
import { FakeClock } from '../../test/fakes/fake-clock.ts';
import { createTestRoot, ROOT_TTL_MS } from '../../test/kit/test-root.ts';

it('every counter of the authority is there from the beginning', async () => {
  const metrics = new Metrics();
  declareCaMetrics(metrics);
  const text = await metrics.text();
  for (const name of [
    'citadel_server_csr_count',
    'citadel_server_success_cert_issuance_count',
    'citadel_server_authentication_failure_count',
    'citadel_server_csr_parsing_err_count',
    'citadel_server_csr_sign_err_count{error="TTL_ERROR"}',
    'citadel_server_id_extraction_err_count',
  ])
    assert.ok(text.includes(`\n${name} 0\n`), name);
});

it('the gauges count down to the end of the root, and below zero after it', async (t) => {
  const clock = new FakeClock();
  const signer = new SelfSignedSigner(await createTestRoot(t, clock));
  const metrics = new Metrics();
  declareExpiryMetrics(metrics, { signer: () => signer, clock });
  const end = (clock.now() + ROOT_TTL_MS) / 1000;
  for (const [passedMs, left] of [
    [0, ROOT_TTL_MS / 1000],
    [60_000, ROOT_TTL_MS / 1000 - 60],
    [ROOT_TTL_MS, -60],
  ] as const) {
    clock.advance(passedMs);
    const text = await metrics.text();
    for (const subject of ['root_cert', 'cert_chain']) {
      assert.ok(text.includes(`\ncitadel_server_${subject}_expiry_seconds ${left}\n`), text);
      assert.ok(text.includes(`\ncitadel_server_${subject}_expiry_timestamp ${end}\n`), text);
    }
  }
});

it('the part of the life of the root that is over grows from nothing to one', async (t) => {
  const clock = new FakeClock();
  const signer = new SelfSignedSigner(await createTestRoot(t, clock));
  const metrics = new Metrics();
  declareExpiryMetrics(metrics, { signer: () => signer, clock });
  const used = async (): Promise<number> => {
    const found = /^bulwark_ca_root_cert_life_used_ratio (.+)$/m.exec(await metrics.text());
    return Number(found?.[1]);
  };
  for (const expected of [0, 0.5, 1]) {
    assert.ok(Math.abs((await used()) - expected) < 0.001, `${await used()}`);
    clock.advance(ROOT_TTL_MS / 2);
  }
});
