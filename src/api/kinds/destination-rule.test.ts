// Rules of DestinationRule: each is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const rule = (fields: object) => ({
  kind: 'DestinationRule',
  metadata: { namespace: 'shop' },
  spec: { host: 'reviews', ...fields },
});
const errors = (fields: object): string[] => errorsOf(rule(fields));
const policy = (trafficPolicy: object): string[] => errors({ trafficPolicy });
const warnings = (trafficPolicy: object): string[] => warningsOf(rule({ trafficPolicy }));
const AT = 'spec.trafficPolicy';

describe('the rule', () => {
  test('has a host', () => {
    assert.deepEqual(errors({ host: '*.example.com' }), []);
    assert.match(errors({ host: '' })[0] ?? '', /^spec.host: .*must not be empty/);
    assert.match(errors({ host: 'a b' })[0] ?? '', /^spec.host: /);
    assert.deepEqual(errorsOf({ kind: 'DestinationRule', spec: {} }), [
      'spec.host: Required value',
    ]);
  });

  test('has subsets with names of their own', () => {
    const labels = { version: 'v1' };
    assert.deepEqual(errors({ subsets: [{ name: 'v1', labels }, { name: 'v2' }] }), []);
    assert.deepEqual(errors({ subsets: [{ name: 'v1' }, { name: 'v1' }] }), [
      'spec.subsets[1].name: Duplicate value: "v1"',
    ]);
    assert.match(errors({ subsets: [{ name: '' }] })[0] ?? '', /must be a DNS label/);
    assert.match(errors({ subsets: [{ name: 'a', labels: { a: 'b c' } }] })[0] ?? '', /label/);
    assert.match(
      errors({ subsets: [{ name: 'a', trafficPolicy: {} }] })[0] ?? '',
      /^spec.subsets\[0\].trafficPolicy: Required value/,
    );
  });

  test('for some callers stays in their namespace', () => {
    const workloadSelector = { matchLabels: { app: 'a' } };
    for (const exportTo of [[], ['.'], ['shop']]) {
      assert.deepEqual(errors({ workloadSelector, exportTo }), []);
    }
    assert.match(errors({ workloadSelector, exportTo: ['*'] })[0] ?? '', /its own namespace only/);
    assert.deepEqual(errors({ exportTo: ['*'] }), []);
    assert.match(errors({ exportTo: ['~'] })[0] ?? '', /must be a namespace/);
    const wild = { matchLabels: { app: '*' } };
    assert.match(errors({ workloadSelector: wild })[0] ?? '', /wildcard not allowed/);
  });
});

describe('client TLS', () => {
  const tls = (fields: object): string[] => policy({ tls: fields });
  const files = { clientCertificate: '/c.pem', privateKey: '/k.pem' };

  test('MUTUAL has certificate and key, or a credential, not both', () => {
    assert.deepEqual(tls({ mode: 'MUTUAL', ...files }), []);
    assert.deepEqual(tls({ mode: 'MUTUAL', credentialName: 'c' }), []);
    const needed = 'Required value: MUTUAL needs it, or a credentialName';
    assert.deepEqual(tls({ mode: 'MUTUAL' }), [
      `${AT}.tls.clientCertificate: ${needed}`,
      `${AT}.tls.privateKey: ${needed}`,
    ]);
    assert.match(tls({ mode: 'MUTUAL', credentialName: 'c', ...files })[0] ?? '', /cannot go with/);
    assert.match(
      tls({ mode: 'SIMPLE', credentialName: 'c', caCrl: '/crl' })[0] ?? '',
      /caCrl cannot go with credentialName/,
    );
  });

  test('SIMPLE and ISTIO_MUTUAL need nothing; what has no effect is told', () => {
    assert.deepEqual(tls({ mode: 'SIMPLE' }), []);
    assert.deepEqual(tls({ mode: 'ISTIO_MUTUAL' }), []);
    assert.deepEqual(tls({ mode: 'SIMPLE', sni: 'x'.repeat(255) }), []);
    for (const sni of ['x'.repeat(256), 'a b', 'ü.test', 'a\u0000b']) {
      assert.match(tls({ mode: 'SIMPLE', sni })[0] ?? '', /tls\.sni: .*at most 255 printable/);
    }
    assert.deepEqual(tls({}), []);
    assert.match(warnings({ tls: { mode: 'ISTIO_MUTUAL', ...files } })[0] ?? '', /no effect/);
  });

  test('that is not verified has nothing to verify with, and is told', () => {
    const skip = { mode: 'SIMPLE', insecureSkipVerify: true };
    assert.deepEqual(tls(skip), []);
    assert.match(warnings({ tls: skip })[0] ?? '', /not verified at all/);
    assert.match(tls({ ...skip, caCertificates: '/ca' })[0] ?? '', /insecureSkipVerify/);
    assert.match(tls({ ...skip, subjectAltNames: ['a'] })[0] ?? '', /insecureSkipVerify/);
    assert.match(tls({ ...skip, credentialName: 'c' })[0] ?? '', /insecureSkipVerify/);
    assert.deepEqual(tls({ mode: 'MUTUAL', insecureSkipVerify: true, credentialName: 'c' }), []);
    assert.deepEqual(tls({ mode: 'SIMPLE', insecureSkipVerify: false, caCertificates: '/ca' }), []);
  });
});

describe('a traffic policy', () => {
  test('says something', () => {
    assert.match(policy({})[0] ?? '', /at least one setting/);
    assert.match(policy({ connectionPool: {} })[0] ?? '', /must have tcp or http/);
  });

  test('has limits that are not negative, and durations of milliseconds', () => {
    const pool = (fields: object): string[] => policy({ connectionPool: fields });
    const http = { http1MaxPendingRequests: 2, maxRetries: 4, idleTimeout: '30s' };
    assert.deepEqual(pool({ tcp: { maxConnections: 7, connectTimeout: '2s' }, http }), []);
    assert.match(pool({ tcp: { maxConnections: -1 } })[0] ?? '', /tcp.maxConnections/);
    assert.match(pool({ http: { maxRetries: -1 } })[0] ?? '', /http.maxRetries/);
    assert.match(pool({ tcp: { connectTimeout: '0s' } })[0] ?? '', /greater than 1ms/);
    assert.deepEqual(pool({ tcp: { idleTimeout: '0s' } }), []);
    assert.match(pool({ http: { idleTimeout: 'x' } })[0] ?? '', /must be a valid duration/);
    assert.match(pool({ tcp: { tcpKeepalive: { time: '1us' } } })[0] ?? '', /tcpKeepalive.time/);
    const upgrade = { h2UpgradePolicy: 'UPGRADE', useClientProtocol: true };
    assert.match(pool({ http: upgrade })[0] ?? '', /keeps the protocol/);
  });

  test('leaves out endpoints that fail', () => {
    const outlier = (fields: object): string[] => policy({ outlierDetection: fields });
    assert.deepEqual(
      outlier({ interval: '2s', baseEjectionTime: '2s', maxEjectionPercent: 50 }),
      [],
    );
    assert.match(outlier({ interval: '2.000000005s' })[0] ?? '', /whole milliseconds/);
    assert.match(outlier({ maxEjectionPercent: 101 })[0] ?? '', /between 0 and 100/);
    assert.match(outlier({ minHealthPercent: -1 })[0] ?? '', /between 0 and 100/);
    const split = { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2 };
    assert.deepEqual(outlier(split), []);
    assert.match(outlier({ consecutiveLocalOriginFailures: 2 })[0] ?? '', /counted only with/);
    const old = warnings({ outlierDetection: { consecutiveErrors: 5 } });
    assert.match(old[0] ?? '', /out of use/);
  });

  test('has settings of single ports, complete ones', () => {
    const port = { number: 80 };
    const settings = (fields: object): string[] => policy({ portLevelSettings: [fields] });
    assert.deepEqual(settings({ port, tls: { mode: 'SIMPLE' } }), []);
    assert.match(settings({ tls: {} })[0] ?? '', /portLevelSettings\[0\].port.number: Required/);
    assert.match(settings({ port })[0] ?? '', /at least one setting/);
    assert.match(settings({ port: { number: 0 }, tls: {} })[0] ?? '', /between 1-65535/);
    assert.match(settings({ port, tls: { mode: 'MUTUAL' } })[0] ?? '', /clientCertificate/);
  });

  test('has a tunnel, or the PROXY protocol', () => {
    const tunnel = { protocol: 'CONNECT', targetHost: 'a.com', targetPort: 443 };
    assert.deepEqual(policy({ tunnel }), []);
    assert.deepEqual(policy({ tunnel: { targetHost: '1.2.3.4', targetPort: 443 } }), []);
    assert.deepEqual(policy({ proxyProtocol: { version: 'V2' } }), []);
    assert.match(policy({ tunnel, proxyProtocol: {} })[0] ?? '', /only one of tunnel/);
    assert.match(policy({ tunnel: { ...tunnel, protocol: 'PUT' } })[0] ?? '', /"CONNECT", "POST"/);
    assert.match(policy({ tunnel: { ...tunnel, targetHost: 'a b' } })[0] ?? '', /DNS name/);
    assert.match(policy({ tunnel: { ...tunnel, targetPort: 0 } })[0] ?? '', /between 1-65535/);
  });
});

describe('a load balancer', () => {
  const balancer = (loadBalancer: object): string[] => policy({ loadBalancer });
  const hash = (consistentHash: object): string[] => balancer({ consistentHash });

  test('is simple or a hash of one thing', () => {
    assert.deepEqual(balancer({ simple: 'ROUND_ROBIN' }), []);
    assert.deepEqual(hash({ useSourceIp: true, ringHash: { minimumRingSize: 1024 } }), []);
    assert.match(balancer({ simple: 'RANDOM', consistentHash: {} })[0] ?? '', /only one of simple/);
    assert.match(hash({ useSourceIp: true, httpHeaderName: 'a' })[0] ?? '', /only one of http/);
    assert.match(hash({ ringHash: {}, maglev: { tableSize: 7 } })[0] ?? '', /ringHash, maglev/);
    assert.match(hash({ httpCookie: { name: '' } })[0] ?? '', /httpCookie.name: Required/);
    assert.deepEqual(hash({ httpCookie: { name: 'c', ttl: '0s' } }), []);
    assert.match(
      hash({ httpCookie: { name: 'c', ttl: 'x' } })[0] ?? '',
      /must be a valid duration/,
    );
  });

  test('has a Maglev table of prime size, and no sizes of the old kind beside it', () => {
    assert.deepEqual(hash({ maglev: { tableSize: 65_537 } }), []);
    for (const tableSize of [0, 1, 4, 65_536, 5_000_011]) {
      assert.match(hash({ maglev: { tableSize } })[0] ?? '', /must be a prime number below/);
    }
    const old = { minimumRingSize: 10 };
    assert.match(warnings({ loadBalancer: { consistentHash: old } })[0] ?? '', /out of use/);
    assert.match(hash({ ...old, ringHash: {} })[0] ?? '', /not together with ringHash/);
  });

  test('warms up in a time that is one', () => {
    assert.deepEqual(balancer({ warmup: { duration: '10s' } }), []);
    assert.match(balancer({ warmup: { duration: 'x' } })[0] ?? '', /warmup.duration/);
    assert.match(balancer({ warmupDurationSecs: '0s' })[0] ?? '', /warmupDurationSecs/);
  });

  test('shares by locality add up to 100, without overlap', () => {
    const shares = (...to: object[]): string[] =>
      balancer({ localityLbSetting: { distribute: to.map((one) => ({ from: 'r1/*', to: one })) } });
    assert.deepEqual(shares({ 'r1/z1/*': 80, 'r1/z2/*': 20 }), []);
    assert.match(shares({ 'r1/*': 80 })[0] ?? '', /must add up to 100/);
    assert.match(shares({ 'r1/*': 100, 'r2/*': 0 })[0] ?? '', /between 1 and 100/);
    assert.match(shares({ 'r1/*': 50, 'r1/z1/*': 50 })[0] ?? '', /overlaps with/);
    assert.match(shares({ 'r*/z': 100 })[0] ?? '', /only be at the end/);
    assert.match(shares({ 'r//z': 100 })[0] ?? '', /region\/zone\/subzone/);
    assert.match(shares({ r2: 100 }, { r3: 100 })[0] ?? '', /overlaps with "r1\/\*"/);
  });

  test('fails over to other regions, and notices when it must', () => {
    const locality = (localityLbSetting: object, outlierDetection?: object) => ({
      loadBalancer: { localityLbSetting },
      ...(outlierDetection ? { outlierDetection } : {}),
    });
    const failover = [{ from: 'r1', to: 'r2' }];
    assert.deepEqual(policy(locality({ failover }, {})), []);
    assert.deepEqual(warnings(locality({ failover }, {})), []);
    assert.match(warnings(locality({ failover }))[0] ?? '', /nobody notices/);
    const same = { failover: [{ from: 'r1', to: 'r1' }] };
    assert.match(policy(locality(same, {}))[0] ?? '', /different regions/);
    const zone = { failover: [{ from: 'r1/z', to: 'r2' }] };
    assert.match(policy(locality(zone, {}))[0] ?? '', /must be a region/);
    const both = { failover, distribute: [{ from: 'r1', to: { r1: 100 } }] };
    assert.match(policy(locality(both, {}))[0] ?? '', /only one of distribute, failover/);
    const sorted = { failover, failoverPriority: ['topology.kubernetes.io/region'] };
    assert.match(policy(locality(sorted, {}))[0] ?? '', /failover decides already/);
  });

  test('does not compare localities without end', () => {
    const to = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`r${n}`, 1]));
    const found = balancer({ localityLbSetting: { distribute: [{ from: 'a', to }] } });
    assert.match(found.join(), /Too many: 20000/);
  });
});
