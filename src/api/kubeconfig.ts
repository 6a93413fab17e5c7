import { dump } from 'js-yaml';
import type { Secret } from '#base/secret.ts';

/** Where an API server is, and as whom to ask it. */
export interface KubeconfigOptions {
  /** Name of the user, as tools show it. */
  readonly user: string;
  /** `https://127.0.0.1:6443`. */
  readonly server: string;
  /** PEM of the authority that signed the serving certificate. */
  readonly serverCa: string;
  /** PEM of the user. */
  readonly certificate: string;
  readonly key: Secret<string>;
  /** The namespace of commands that name none. */
  readonly namespace: string;
}

const CLUSTER = 'bulwark';

/** A kubeconfig of one cluster and one user, YAML (kubernetes.io, "Organizing Cluster Access"). */
export function kubeconfigText(options: KubeconfigOptions): string {
  const { user, server, serverCa, certificate, key, namespace } = options;
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: CLUSTER, cluster: { server, 'certificate-authority-data': base64(serverCa) } },
    ],
    users: [
      {
        name: user,
        user: {
          'client-certificate-data': base64(certificate),
          'client-key-data': base64(key.reveal()),
        },
      },
    ],
    contexts: [{ name: CLUSTER, context: { cluster: CLUSTER, user, namespace } }],
    'current-context': CLUSTER,
  };
  return dump(config, { lineWidth: -1 });
}
