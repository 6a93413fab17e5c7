import { table } from '#base/settings/definition.ts';

/** Where the server keeps its data and listens, and what it fetches. */
export const SERVER_SETTINGS = table({
  data: {
    type: 'path',
    env: ['BULWARK_DATA'],
    default: undefined,
    doc: 'The folder for the store, keys and kubeconfig; when not set, `bulwark` in XDG_STATE_HOME (`~/.local/state`). A start prints it.',
    scope: ['server'],
  },
  bindAddress: {
    type: 'string',
    env: ['BULWARK_BIND_ADDRESS'],
    default: '127.0.0.1',
    doc: 'The IP address that the server listens on. Anything but loopback is open to the network.',
    scope: ['server'],
  },
  apiPort: {
    type: 'port',
    env: ['BULWARK_API_PORT'],
    default: '0',
    doc: 'The port of the Kubernetes-style API (HTTPS). 0 = a free one, kept over restarts of the same data folder.',
    scope: ['server'],
  },
  securePort: {
    type: 'port',
    env: ['BULWARK_SECURE_PORT'],
    default: '15012',
    doc: 'The port of xDS and the certificate service (gRPC over TLS). 0 = a free one, kept over restarts.',
    scope: ['server'],
  },
  jwksRefreshInterval: {
    type: 'duration',
    env: ['BULWARK_JWKS_REFRESH_INTERVAL', 'PILOT_JWT_PUB_KEY_REFRESH_INTERVAL'],
    default: '5m',
    min: '1s',
    max: '24h',
    doc: 'How old the keys of an issuer of tokens become before they are fetched again. An issuer must show a new key at least so long before it signs with it.',
    scope: ['server'],
  },
  jwksBlockedAddresses: {
    type: 'list',
    env: ['BULWARK_JWKS_BLOCKED_ADDRESSES', 'BLOCKED_CIDRS_IN_JWKS_URIS'],
    default: '',
    doc: 'Addresses (CIDR) that keys of issuers and trust bundles are never fetched from, beside this host, its links and metadata services of clouds.',
    scope: ['server'],
  },
  jwksAllowedAddresses: {
    type: 'list',
    env: ['BULWARK_JWKS_ALLOWED_ADDRESSES'],
    default: '',
    doc: 'Addresses (CIDR) that keys of issuers and trust bundles may be fetched from though they are blocked by default: 127.0.0.0/8 where the issuer runs on this host.',
    scope: ['server'],
  },
  jwksRoots: {
    type: 'list',
    env: ['BULWARK_JWKS_ROOTS'],
    default: '',
    doc: 'Files of roots (PEM) that servers of keys are verified with: PATH for every server, beside the usual roots; HOST=PATH for one server, instead of them.',
    scope: ['server'],
  },
  monitoringPort: {
    type: 'port',
    env: ['BULWARK_MONITORING_PORT'],
    default: '15014',
    doc: 'The port of health and metrics (HTTP, loopback only). 0 = a free one, kept over restarts.',
    scope: ['server'],
  },
});
