import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { AuditSettings } from '#model/mesh-settings.ts';
import { TYPE_URL } from '#xds/resource.ts';
import { goldenSnapshot } from '../../../test/kit/golden-case.ts';
import { serviceObjects } from '../../../test/kit/objects.ts';
import { resourceJson } from '../../../test/kit/xds-json.ts';

/** The access logs that a workload with a port for HTTP and one for TCP streams, as JSON. */
function streams(audit: AuditSettings): readonly string[] {
  const objects = serviceObjects('default', 'app', [
    { name: 'http', port: 80 },
    { name: 'tcp', port: 90 },
  ]);
  const snapshot = goldenSnapshot({ about: '', show: [], settings: { audit }, objects });
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('name' in value && String(value.name).endsWith('_grpc')) found.push(JSON.stringify(value));
    else for (const part of Object.values(value)) visit(part);
  };
  visit([...(snapshot.get(TYPE_URL.listener)?.values() ?? [])].map(resourceJson));
  return found;
}

it('with records off and no sample, proxies stream nothing', () => {
  assert.deepEqual(streams({ records: 'off', trafficPercent: 0 }), []);
});

it('what AUDIT policies match is streamed only where that is wanted', () => {
  const denied = streams({ records: 'denied', trafficPercent: 0 });
  const both = streams({ records: 'denied-and-audited', trafficPercent: 0 });
  assert.ok(denied.length > 1 && both.length === denied.length);
  for (const one of denied) assert.doesNotMatch(one, /access_log_hint/);
  for (const one of both) assert.match(one, /access_log_hint/);
});

it('a sample is a stream of its own beside that of records', () => {
  const both = streams({ records: 'denied', trafficPercent: 7 });
  const samples = both.filter((one) => one.includes('"bulwark-traffic"'));
  assert.equal(samples.length, both.length / 2);
  for (const one of samples) assert.match(one, /"numerator":7/);
  assert.deepEqual(streams({ records: 'off', trafficPercent: 7 }), samples);
});

it('no query, token or cookie is asked for, by a logger that sends nothing else', () => {
  const all = streams({ records: 'denied-and-audited', trafficPercent: 7 });
  const headers = all.flatMap((one) => [...one.matchAll(/%REQ\(([^)]*)\)/g)]);
  const names = headers.map(([, name]) => name);
  const known = [':AUTHORITY', ':METHOD', 'TRACEPARENT', 'X-REQUEST-ID'];
  assert.deepEqual([...new Set(names)].sort(), known);
  for (const one of all) {
    assert.match(one, /"name":"envoy\.access_loggers\.tcp_grpc"/);
    assert.doesNotMatch(one, /PATH\(WQ/);
  }
});
