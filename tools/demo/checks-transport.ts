import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type DemoCheck, expect } from './check.ts';
import { foreignCertificate } from './foreign-ca.ts';

/** What the wire refuses: plaintext, foreign certificates, wrong identities. */
export const TRANSPORT_CHECKS: readonly DemoCheck[] = [
  {
    name: 'plaintext-to-strict-refused',
    title: 'plaintext to a STRICT workload refused',
    async run(world) {
      const { address, port } = world.inboundOf('datastore');
      const answer = await plaintext(address, port);
      expect(answer === '', `it answered ${JSON.stringify(answer.slice(0, 80))}`);
      return `connection closed without a byte by datastore (${address}:${port})`;
    },
  },
  {
    name: 'foreign-ca-refused',
    title: 'a certificate from a foreign CA refused',
    async run(world) {
      const { address, port } = world.inboundOf('datastore');
      const identity = world.identityOf('photo-backend');
      const foreign = await foreignCertificate(identity, world.folder('foreign-ca'));
      const outcome = await handshake(address, port, foreign);
      expect(/alert|unknown ca/i.test(outcome), `the handshake gave: ${outcome}`);
      return `it claims ${identity}; ${outcome}`;
    },
  },
  {
    name: 'wrong-server-identity-refused',
    title: 'a server with the wrong identity refused by the client',
    async run(world) {
      const host = 'impostor.photo-ns';
      await world.server.apply(impostor(world.inboundOf('datastore')));
      const answer = await world.callUntil(
        'photo-frontend',
        `http://${host}/photos`,
        // Service and endpoint arrive one after the other.
        ({ status, body }) => status !== 502 && status !== 404 && !/no healthy/.test(body),
      );
      expect(answer.status === 503, `answered ${answer.status}: ${answer.body.slice(0, 200)}`);
      const { detail } = await world.serverRefusedBy('photo-frontend');
      expect(/CERTIFICATE_VERIFY_FAILED/.test(detail), detail);
      const refused = await world.sanFailures('photo-frontend', 'impostor.photo-ns');
      expect(refused > 0, 'the client Envoy counted no failed check of the server identity');
      return '503, CERTIFICATE_VERIFY_FAILED: it wanted photo-backend and met datastore';
    },
  },
];

/** A service that claims to be run by photo-backend, but whose address is that of the datastore. */
function impostor({ address, port }: { address: string; port: number }): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: impostor, namespace: photo-ns}
spec:
  selector: {app: impostor}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: impostor, namespace: photo-ns}
spec:
  address: ${address}
  ports: {http: ${port}}
  labels: {app: impostor}
  serviceAccount: photo-backend
`;
}

/** Sends a plain HTTP request and gives what comes back until the other end closes. */
function plaintext(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connectTcp({ host, port }, () => {
      socket.write('GET /photos HTTP/1.1\r\nhost: datastore\r\n\r\n');
    });
    socket.setTimeout(10_000, () => socket.destroy(new Error('it neither answered nor closed')));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') resolve(received);
      else reject(error);
    });
    socket.on('close', () => resolve(received));
  });
}

/** Speaks TLS with a client certificate, asks for a page, and tells in words how it ended. */
function handshake(
  host: string,
  port: number,
  { key, certificate }: { readonly key: string; readonly certificate: string },
): Promise<string> {
  return new Promise((resolve) => {
    const options = { host, port, key, cert: certificate, rejectUnauthorized: false };
    const socket = connectTls({ ...options, ALPNProtocols: ['istio-http/1.1', 'istio'] }, () => {
      socket.write('GET /photos HTTP/1.1\r\nhost: datastore\r\n\r\n');
    });
    socket.setTimeout(10_000, () => socket.destroy(new Error('no end in time')));
    socket.on('data', (chunk) => {
      resolve(`answered: ${chunk.toString('latin1').slice(0, 60)}`);
      socket.destroy();
    });
    socket.on('error', (error: Error & { reason?: string }) => {
      resolve(`refused in the handshake: ${error.reason ?? error.message}`);
    });
    socket.on('close', () => resolve('closed'));
  });
}
