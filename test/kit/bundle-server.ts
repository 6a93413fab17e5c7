import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { TestCertificate } from './test-authority.ts';

/** A bundle endpoint that answers as a test wants. */
export interface BundleServer {
  readonly url: string;
  /** Requests so far. */
  asked: number;
  status: number;
  body: string;
  /** Whether it leaves requests without an answer. */
  isSilent: boolean;
}

/** Starts one on loopback with this certificate; ends with the test. */
export async function startBundleServer(
  test: Pick<TestContext, 'after'>,
  { certificate, privateKey }: TestCertificate,
): Promise<BundleServer> {
  const server = createServer({ cert: certificate, key: privateKey }, (_request, response) => {
    state.asked += 1;
    if (state.isSilent) return;
    response.writeHead(state.status, { location: 'https://127.0.0.1:1/elsewhere' });
    response.end(state.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const state: BundleServer = {
    url: `https://127.0.0.1:${port}/bundle`,
    asked: 0,
    status: 200,
    body: '',
    isSilent: false,
  };
  return state;
}
