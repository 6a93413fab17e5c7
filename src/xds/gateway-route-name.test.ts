import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayRouteName, parseGatewayRouteName } from '#xds/gateway-route-name.ts';

const SERVER = { port: 443, server: { name: 'app1', gateway: 'ns1/gw1' } };

describe('the name of a route configuration of a gateway', () => {
  it('says port and server, and is read back', () => {
    for (const [name, route] of [
      ['http.80', { port: 80 }],
      ['http.80.10.0.0.1', { port: 80, bind: '10.0.0.1' }],
      ['http.80.::1', { port: 80, bind: '::1' }],
      ['https.443.app1.gw1.ns1', SERVER],
    ] as const) {
      assert.equal(gatewayRouteName(route), name);
      assert.deepEqual(parseGatewayRouteName(name), route);
    }
  });

  it('is refused when it is none, or may mean several servers', () => {
    for (const name of [
      '',
      '80',
      'inbound|80||',
      'http.',
      'http.80.',
      'http.0',
      'http.65536',
      'http.8x',
      'http.80.front',
      'https.443',
      'https.scooby.dooby.doo',
      'https.443.app1.gw1',
      'https.443.app1.my.gw1.ns1',
      'https.443..gw1.ns1',
      'https.443.app1.gw1.',
    ])
      assert.equal(parseGatewayRouteName(name), undefined, name);
  });
});
