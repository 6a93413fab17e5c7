// Rules of Gateway: each is met and broken.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, warningsOf } from '../../../test/kit/object-verdict.ts';

const object = (servers: readonly object[], name = 'front') => ({
  kind: 'Gateway',
  metadata: { name, namespace: 'shop' },
  spec: { selector: { app: 'front' }, servers },
});
const HTTP = { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['a.example.com'] };
const HTTPS = { port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['*'] };
const errors = (fields: object): string[] => errorsOf(object([{ ...HTTP, ...fields }]));
const ofTls = (tls: object): string[] => errorsOf(object([{ ...HTTPS, tls }]));
const warningsOfTls = (tls: object): string => warningsOf(object([{ ...HTTPS, tls }])).join();

function refused(found: readonly string[], field: string, message: RegExp): void {
  assert.ok(
    found.some((text) => text.startsWith(`${field}: `) && message.test(text)),
    `${field} ${message} is not in ${found.join(' | ')}`,
  );
}

describe('the object', () => {
  test('has a name of one label, and servers whose ports have names of their own', () => {
    const other = { ...HTTPS, tls: { mode: 'PASSTHROUGH' } };
    assert.deepEqual(errorsOf(object([HTTP, other])), []);
    refused(errorsOf(object([HTTP], 'a.b')), 'metadata.name', /one DNS label/);
    refused(errorsOf(object([])), 'spec.servers', /at least one server/);
    refused(errorsOf(object([HTTP, HTTP])), 'spec.servers[1].port.name', /Duplicate/);
  });

  test('listens on a port of a known protocol, at an address', () => {
    const port = (fields: object) => errors({ port: { ...HTTP.port, ...fields } });
    assert.deepEqual(port({ protocol: 'grpc' }), []);
    refused(port({ protocol: 'kafka' }), 'spec.servers[0].port.protocol', /Unsupported/);
    refused(port({ number: 66_000 }), 'spec.servers[0].port.number', /between 1-65535/);
    assert.deepEqual(errors({ bind: '127.0.0.1' }), []);
    refused(errors({ bind: 'localhost' }), 'spec.servers[0].bind', /IP address/);
  });

  test('names hosts, and the namespaces that may have routes for them', () => {
    const hosts = ['*', '*.a.com', '1.2.3.4', 'ns/a.com', '*/a.com', './a.com'];
    assert.deepEqual(errors({ hosts }), []);
    refused(errors({ hosts: [] }), 'spec.servers[0].hosts', /Required/);
    refused(errors({ hosts: ['~/a.com'] }), 'spec.servers[0].hosts[0]', /namespace/);
    refused(errors({ hosts: ['a/b/c'] }), 'spec.servers[0].hosts[0]', /NAMESPACE.HOST/);
    refused(errors({ hosts: ['a b'] }), 'spec.servers[0].hosts[0]', /DNS label/);
  });
});

describe('TLS', () => {
  test('is for ports of HTTPS and TLS, which need it; plaintext may be redirected', () => {
    assert.deepEqual(errors({ tls: { httpsRedirect: true } }), []);
    refused(errors({ tls: { mode: 'SIMPLE' } }), 'spec.servers[0].tls', /cannot have TLS/);
    refused(errorsOf(object([HTTPS])), 'spec.servers[0].tls', /needs settings/);
  });

  test('that is ended has one source of certificates, complete', () => {
    const files = { serverCertificate: '/c', privateKey: '/k' };
    const tls = 'spec.servers[0].tls';
    assert.deepEqual(ofTls({ mode: 'SIMPLE', credentialName: 'a' }), []);
    assert.deepEqual(ofTls({ mode: 'SIMPLE', ...files }), []);
    refused(ofTls({ mode: 'SIMPLE', ...files, credentialName: 'a' }), tls, /only one of/);
    refused(ofTls({ mode: 'SIMPLE', serverCertificate: '/c' }), `${tls}.privateKey`, /private key/);
    assert.deepEqual(ofTls({ mode: 'MUTUAL', ...files, caCertificates: '/r' }), []);
    refused(ofTls({ mode: 'MUTUAL', ...files }), `${tls}.caCertificates`, /client CA/);
    const names = ['a', 'b', 'c'];
    refused(ofTls({ mode: 'SIMPLE', credentialNames: names }), `${tls}.credentialNames`, /more/);
    assert.deepEqual(ofTls({ mode: 'ISTIO_MUTUAL' }), []);
    refused(ofTls({ mode: 'ISTIO_MUTUAL', ...files }), `${tls}.privateKey`, /cannot go/);
  });

  test('says what of it has no effect', () => {
    assert.equal(warningsOfTls({ mode: 'SIMPLE', credentialName: 'a' }), '');
    assert.match(warningsOfTls({ mode: 'PASSTHROUGH', caCrl: '/c' }), /does not use certificates/);
    assert.match(warningsOfTls({ mode: 'AUTO_PASSTHROUGH' }), /not served/);
    const mode = { mode: 'SIMPLE', credentialName: 'a' };
    assert.match(warningsOfTls({ ...mode, cipherSuites: ['none'] }), /ignored: none/);
    const suite = 'AES128-SHA';
    assert.match(warningsOfTls({ ...mode, cipherSuites: [suite, suite] }), /twice/);
  });
});
