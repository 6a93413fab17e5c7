import type { ApiObject } from '#api/object.ts';
import { readInstance } from '#model/workload.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import type { InboundMtls } from '#policy/authn/mtls-mode.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testMesh } from './mesh.ts';

/** The workload that is asked about. */
export interface AskedWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address?: string;
}

/**
 * What holds for the connections of a workload in a mesh of these objects, root namespace
 * `istio-system`.
 */
export function mtlsOf(objects: readonly ApiObject[], asked: AskedWorkload): InboundMtls {
  const mesh = testMesh(objects);
  const workload = readInstance({
    name: 'asked',
    namespace: asked.namespace,
    trustDomain: parseTrustDomain('cluster.local'),
    applicationPorts: {},
    spec: { address: asked.address ?? '10.0.0.1', labels: asked.labels, serviceAccount: 'asked' },
  });
  return new PeerAuthenticator(mesh.settings).inboundMtls(workload, mesh.model.snapshot());
}
