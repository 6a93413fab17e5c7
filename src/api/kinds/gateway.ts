import { ageColumn, fieldColumn } from '#api/columns.ts';
import { checkGateway } from '#api/kinds/gateway-rules.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, flag, integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

const VERSIONS = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'] as const;

const serverTls = object('How the server secures connections.', {
  httpsRedirect: flag('Answer plaintext requests with a redirection to HTTPS.'),
  mode: choice('Who ends TLS, and whether callers show a certificate. PASSTHROUGH if left out.', [
    'PASSTHROUGH',
    'SIMPLE',
    'MUTUAL',
    'AUTO_PASSTHROUGH',
    'ISTIO_MUTUAL',
    'OPTIONAL_MUTUAL',
  ]),
  credentialName: text('Secret, in the namespace of the gateway’s workload, with key and chain.'),
  credentialNames: list('Two such Secrets, for keys of two kinds.', text('A Secret.')),
  caCertCredentialName: text('Secret with the authorities that callers are verified with.'),
  serverCertificate: text('File on the gateway’s machine: the certificate chain.'),
  privateKey: text('File on the gateway’s machine: the key.'),
  caCertificates: text('File on the gateway’s machine: authorities for certificates of callers.'),
  caCrl: text('File on the gateway’s machine: the list of revoked certificates.'),
  tlsCertificates: list(
    'Two pairs of files, for keys of two kinds.',
    object('A pair of files.', {
      serverCertificate: text('The certificate chain.'),
      privateKey: text('The key.'),
      caCertificates: text('Authorities for certificates of callers.'),
    }),
  ),
  subjectAltNames: list('Names of which a caller’s certificate must carry one.', text('A name.')),
  verifyCertificateSpki: list('Hashes of keys, of which a caller must have one.', text('A hash.')),
  verifyCertificateHash: list('Hashes of certificates of callers.', text('A hash.')),
  minProtocolVersion: choice('The oldest version of TLS.', VERSIONS),
  maxProtocolVersion: choice('The newest version of TLS.', VERSIONS),
  cipherSuites: list('Cipher suites of TLS 1.2.', text('A cipher suite.')),
});

const server = object(
  'A port, and the hosts that are served there.',
  {
    port: object(
      'The port.',
      {
        number: integer('Its number.'),
        protocol: text('HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS.'),
        name: text('Its name, once in the gateway.'),
        targetPort: integer('Not used.'),
      },
      { required: ['number', 'protocol', 'name'] },
    ),
    bind: text('The address that is listened on; all of the machine when it is left out.'),
    hosts: list('`namespace/host`: hosts, and whose routes may be for them.', text('A host.')),
    tls: serverTls,
    defaultEndpoint: text('Not used.'),
    name: text('A name for statistics.'),
  },
  { required: ['port', 'hosts'] },
);

const spec = object('What a gateway takes from outside.', {
  selector: map('Labels of the workloads that are the gateway.', text('The value of the label.')),
  servers: list('Ports with their hosts.', server),
});

/** What a Gateway says. */
export interface GatewaySpec extends ValueOf<typeof spec> {}

/** One of its servers. */
export interface GatewayServer extends ValueOf<typeof server> {}

/** `tls` of a server. */
export interface GatewayServerTls extends ValueOf<typeof serverTls> {}

/** Istio's Gateway (networking.istio.io v1, v1beta1, v1alpha3). */
export interface Gateway extends ApiObject {
  readonly spec?: GatewaySpec;
  readonly status?: IstioStatus;
}

/** Gateway. */
export const gateway = defineIstioKind<Gateway>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'Gateway',
  plural: 'gateways',
  shortNames: ['gw'],
  description: 'Ports and hosts that a gateway serves to callers from outside.',
  spec,
  columns: [fieldColumn('Selector', '.spec.selector', 'Labels of the gateway.'), ageColumn],
  check: checkGateway,
});
