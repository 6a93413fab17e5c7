import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseClientCertHeader } from '#ca/attestation/forwarded/client-cert-header.ts';

const URI = 'spiffe://mesh.example.com/ns/otherns/sa/othersa';
const NONE = { by: [], hash: '', subject: '', uris: [], dnsNames: [] };

describe('the header about the certificate of a caller', () => {
  it('has what Envoy writes', () => {
    assert.deepEqual(parseClientCertHeader(`Hash=abc;Subject="";URI=${URI}`), [
      { ...NONE, hash: 'abc', uris: [URI] },
    ]);
    assert.deepEqual(parseClientCertHeader('By=spiffe://a/b;By=c;URI='), [
      { ...NONE, by: ['spiffe://a/b', 'c'] },
    ]);
  });

  it('has an element for each proxy, with names in quotation marks', () => {
    const first = `Hash=h;Cert="-----BEGIN%20C-----%0A";Subject="CN=hello,O=Acme\\, \\"I\\"";URI=${URI}`;
    const second = 'By=b;DNS=west.example.com;DNS=east.example.com';
    const subject = 'CN=hello,O=Acme, "I"';
    for (const comma of [',', ', '])
      assert.deepEqual(parseClientCertHeader(`${first}${comma}${second}`), [
        { ...NONE, hash: 'h', subject, uris: [URI] },
        { ...NONE, by: ['b'], dnsNames: ['west.example.com', 'east.example.com'] },
      ]);
  });

  it('keeps what stands in quotation marks in one value', () => {
    const forged = `Subject="CN=x;URI=${URI},URI=${URI}";URI=spiffe://a/ns/b/sa/c`;
    assert.deepEqual(parseClientCertHeader(forged), [
      { ...NONE, subject: `CN=x;URI=${URI},URI=${URI}`, uris: ['spiffe://a/ns/b/sa/c'] },
    ]);
  });

  it('is refused when no proxy writes it so', () => {
    for (const header of [
      '',
      'junk xfcc header',
      `${URI}`,
      `URI=${URI};`,
      `URI=${URI},`,
      `,URI=${URI}`,
      `;URI=${URI}`,
      'Subject="CN=a',
      'Subject="CN=a"b',
      'Hash=a;Hash=b',
      'Subject=a;Subject=b',
      'Name=a',
      'URI =a',
      ' URI=a',
      'URI=a"b"',
      'Hash=a\nURI=b;x',
    ])
      assert.equal(parseClientCertHeader(header), undefined, header);
  });

  it('is read in time that grows with its length', () => {
    const started = process.cpuUsage().user;
    for (const unit of ['URI=a;', 'DNS=a,', 'Subject="', 'Hash=\\"', 'a='])
      parseClientCertHeader(unit.repeat(100_000));
    assert.ok(process.cpuUsage().user - started < 5_000_000);
  });
});
