import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { TestAuthority } from './test-authority.ts';

/** A server outside of the mesh. */
export interface HttpsAppOptions {
  /** Who signed its certificate. */
  readonly authority: TestAuthority;
  /** The name in its certificate. */
  readonly name: string;
  /** Who must have signed the certificates of callers; anybody may call when left out. */
  readonly clients?: TestAuthority;
}

/**
 * Answers over TLS on loopback, until the test ends, with the names in the caller's certificate, or
 * with its own when nobody has to prove anything. Gives its port.
 */
export async function startHttpsApp(
  test: Pick<TestContext, 'after'>,
  { authority, name, clients }: HttpsAppOptions,
): Promise<number> {
  const { certificate, privateKey } = authority.issue({ dnsNames: [name] });
  const own = { cert: certificate, key: privateKey };
  const options = clients ? { ...own, ca: clients.root, requestCert: true } : own;
  const server = createServer(options, (request, response) => {
    const { subjectaltname } = (request.socket as TLSSocket).getPeerCertificate() ?? {};
    // One request for each connection: a caller's next certificate is seen with its next request.
    response.writeHead(200, { connection: 'close' }).end(subjectaltname ?? name);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** The Secret of a namespace with these values, given as text. */
export function secretObject(
  namespace: string,
  name: string,
  values: Readonly<Record<string, string>>,
) {
  const data = Object.entries(values).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type: 'Opaque',
    data: Object.fromEntries(data) as Readonly<Record<string, string>>,
  };
}
