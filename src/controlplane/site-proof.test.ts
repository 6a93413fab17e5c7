import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SiteReport } from '#ca/sites/site-report.ts';
import { missingSites, siteReport } from '#controlplane/site-proof.ts';
import { parseSpiffeId } from '#spiffe/spiffe-id.ts';
import { makeAuthority } from '../../test/kit/authority-chain.ts';

const EDGE = parseSpiffeId('spiffe://cluster.local/ns/sites/sa/edge');
const [OLD, NEW] = [makeAuthority(), makeAuthority()];
const keyOf = ({ certificate }: typeof OLD): string => certificate.subjectKeyId ?? '';
const ROOTS = [
  { state: 'active', certificate: NEW.certificate },
  { state: 'retired', certificate: OLD.certificate },
] as const;
/** A site that is through with everything. */
const READY: SiteReport = {
  trusted: [keyOf(OLD), keyOf(NEW)],
  standsOn: [keyOf(NEW)],
  missingCount: 0,
  missing: [],
};

function missing(step: Parameters<typeof missingSites>[0], report: SiteReport | undefined) {
  const sites = [{ identity: EDGE, notAfterAt: 1, report }];
  return missingSites(step, { sites, roots: ROOTS, otherKeyId: keyOf(OLD) });
}

describe('a server below, when the root above is replaced', () => {
  it('keeps no step back once all of it follows', () => {
    for (const step of ['prepare', 'activate', 'taint', 'revoke', 'abort'] as const)
      assert.deepEqual(missing(step, READY), [], step);
  });

  it('is waited for while it, or one of its workloads, has not taken the roots', () => {
    const late = { name: 'web.shop', reason: 'it has not taken the roots yet' };
    for (const step of ['activate', 'taint', 'revoke'] as const) {
      const [silent] = missing(step, undefined);
      assert.deepEqual([silent?.name, silent?.identity], ['edge.sites', EDGE]);
      assert.match(silent?.reason ?? '', /has not said/);
      const [behind] = missing(step, { ...READY, trusted: [keyOf(OLD)] });
      assert.match(behind?.reason ?? '', /has not taken the roots/);
      const [some] = missing(step, { ...READY, missingCount: 3, missing: [late] });
      assert.match(some?.reason ?? '', /^3 workload.s. below it .*web\.shop \(it has not/);
    }
    assert.deepEqual(missing('prepare', undefined), []);
  });

  it('is waited for while a certificate of it stands on the root that goes', () => {
    for (const standing of [keyOf(OLD), '']) {
      const report = { ...READY, standsOn: [keyOf(NEW), standing] };
      assert.match(missing('revoke', report)[0]?.reason ?? '', /stand on the root/);
      assert.match(missing('abort', report)[0]?.reason ?? '', /stand on the root/);
      assert.deepEqual(missing('taint', report), []);
    }
  });
});

describe('what a server below says of itself', () => {
  const peer = {
    nodeId: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
    identity: parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web'),
    namespace: 'shop',
    workloadName: 'web',
    certificate: { serial: '1', authorityKeyId: 'before', notAfterAt: 1 },
    isConnected: true,
    accepted: 'v2',
    refusal: undefined,
  };
  const own = {
    peers: [peer],
    proxies: [peer],
    unheard: [],
    version: 'v2',
    rootsPem: OLD.pem + NEW.pem,
    signerKeyId: 'now',
    rootAbove: (authority: string) => (authority === 'now' ? keyOf(NEW) : undefined),
  };

  it('is what its workloads trust, and what their certificates stand on', () => {
    assert.deepEqual(siteReport(own), {
      trusted: [keyOf(OLD), keyOf(NEW)],
      standsOn: [keyOf(NEW), ''],
      missingCount: 0,
      missing: [],
    });
  });

  it('counts agents that were not heard since its start, and what they stand on', () => {
    const { identity } = peer;
    const one = { name: 'web.shop', identity, reason: 'not heard', issuerKeyId: 'unknown' };
    const report = siteReport({ ...own, peers: [], proxies: [], unheard: [one] });
    assert.deepEqual(report.missing, [{ name: 'web.shop', reason: 'not heard' }]);
    assert.deepEqual(report.standsOn, [keyOf(NEW), '']);
  });

  it('names those who are behind, ten at most', () => {
    const late = Array.from({ length: 12 }, (_, at) => ({
      ...peer,
      nodeId: `${at}`,
      workloadName: `web-${at}`,
      accepted: 'v1',
    }));
    const report = siteReport({ ...own, peers: late, proxies: late });
    assert.equal(report.missingCount, 12);
    assert.equal(report.missing.length, 10);
    assert.equal(report.missing[0]?.name, 'web-0.shop');
  });
});
