import { table } from '#base/settings/definition.ts';

/** Trust bundles for other meshes, and tokens of workloads. */
export const FEDERATION_SETTINGS = table({
  bundleEndpointPort: {
    type: 'port',
    env: ['BULWARK_BUNDLE_ENDPOINT_PORT'],
    default: undefined,
    doc: 'The port of the bundle endpoint (HTTPS), where other trust domains fetch what vouches for this one. 0 = any free one. Without it there is no endpoint.',
    scope: ['server'],
  },
  bundleEndpointCertificate: {
    type: 'path',
    env: ['BULWARK_BUNDLE_ENDPOINT_CERTIFICATE'],
    default: undefined,
    doc: 'PEM chain for the bundle endpoint by the profile https_web, read anew when it changes. Without it the endpoint has a certificate of the mesh (https_spiffe).',
    scope: ['server'],
  },
  bundleEndpointKey: {
    type: 'path',
    env: ['BULWARK_BUNDLE_ENDPOINT_KEY'],
    default: undefined,
    doc: 'The private key of that certificate, PEM.',
    scope: ['server'],
  },
  bundleRefreshHint: {
    type: 'duration',
    env: ['BULWARK_BUNDLE_REFRESH_HINT'],
    default: '5m',
    min: '1s',
    max: '1h',
    doc: 'How often other trust domains are asked to fetch our bundle. A new root has to be known there before it signs: wait so long between the steps of a rotation.',
    scope: ['server'],
  },
  jwtSvidTtl: {
    type: 'duration',
    env: ['BULWARK_JWT_SVID_TTL'],
    default: '5m',
    min: '30s',
    max: '1h',
    doc: 'The lifetime of the tokens (JWT-SVID) that workloads get.',
    scope: ['server'],
  },
  jwtIssuer: {
    type: 'string',
    env: ['BULWARK_JWT_ISSUER'],
    default: undefined,
    doc: 'The issuer (iss) in tokens of workloads: the public https URL at which OIDC clients find the discovery document. Without it tokens have none, and no such document is served.',
    scope: ['server'],
  },
});
