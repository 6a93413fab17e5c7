/** The object that a `credentialName` stands for. */
export interface CredentialPlace {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly namespace: string;
  readonly name: string;
}

/** Schemes of names that Istio knows: what they lead to, and whether they must name a namespace. */
const SCHEMES = {
  kubernetes: { kind: 'Secret', isNamespaced: false },
  'kubernetes-gateway': { kind: 'Secret', isNamespaced: true },
  configmap: { kind: 'ConfigMap', isNamespaced: true },
} as const;

const FORM = /^(kubernetes|kubernetes-gateway|configmap):\/\/(?:([^/]+)\/)?([^/]+)$/;
/** The workload's own certificate. */
const OWN = 'builtin://';

/**
 * The object of a resource name: `kubernetes://[namespace/]name`, `kubernetes-gateway://namespace/
 * name` or `configmap://namespace/name`. Undefined for all else.
 * @param own the namespace of a name that says none
 */
export function parseCredentialResource(
  resource: string,
  own: string,
): CredentialPlace | undefined {
  const [, scheme, namespace, name] = FORM.exec(resource) ?? [];
  if (scheme === undefined || name === undefined) return undefined;
  const { kind, isNamespaced } = SCHEMES[scheme as keyof typeof SCHEMES];
  if (isNamespaced && namespace === undefined) return undefined;
  return { kind, namespace: namespace ?? own, name };
}

/** Whether a `credentialName` means the workload's own certificate. */
export function isOwnCertificate(written: string): boolean {
  return written.startsWith(OWN);
}

/**
 * The resource of a `credentialName`, as Istio names it: a bare name is one of a Secret; `default`
 * is the workload's own certificate.
 */
export function credentialResource(written: string): string {
  if (isOwnCertificate(written)) return 'default';
  const isWhole = Object.keys(SCHEMES).some((scheme) => written.startsWith(`${scheme}://`));
  return isWhole ? written : `kubernetes://${written}`;
}

/** The resource of a Secret that an object of the Gateway API names, in its namespace. */
export function gatewayCredential(namespace: string, name: string): string {
  return isOwnCertificate(name) ? OWN : `kubernetes-gateway://${namespace}/${name}`;
}

/** The resource of the authorities in a ConfigMap. */
export function configMapCredential(namespace: string, name: string): string {
  return `configmap://${namespace}/${name}`;
}
