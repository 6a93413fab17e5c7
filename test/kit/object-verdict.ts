import { validateObject } from '#api/validate.ts';

/** An object in a test: what the test is about, the rest filled in. */
export interface SampleObject {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

const API_VERSIONS: Readonly<Record<string, string>> = {
  AuthorizationPolicy: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  PeerAuthentication: 'security.istio.io/v1',
  Policy: 'authentication.istio.io/v1alpha1',
  MeshPolicy: 'authentication.istio.io/v1alpha1',
  DestinationRule: 'networking.istio.io/v1',
  ServiceEntry: 'networking.istio.io/v1',
  VirtualService: 'networking.istio.io/v1',
  Gateway: 'networking.istio.io/v1',
  WorkloadEntry: 'networking.istio.io/v1',
  WorkloadGroup: 'networking.istio.io/v1',
  CertificateRevocation: 'bulwark.mesh/v1alpha1',
};

/** The sample with apiVersion and a name. */
function completed(sample: SampleObject): Readonly<Record<string, unknown>> {
  const { kind, metadata, ...fields } = sample;
  const apiVersion = API_VERSIONS[kind] ?? 'v1';
  return { apiVersion, kind, metadata: { name: 'sample', ...metadata }, ...fields };
}

function found(sample: SampleObject, severity: 'error' | 'warning'): string[] {
  return validateObject(completed(sample))
    .diagnostics.filter((diagnostic) => diagnostic.severity === severity)
    .map(({ field, message }) => `${field}: ${message}`);
}

/** What refuses the object: `field: message` each; none = it is taken. */
export function errorsOf(sample: SampleObject): string[] {
  return found(sample, 'error');
}

/** What the user is warned of. */
export function warningsOf(sample: SampleObject): string[] {
  return found(sample, 'warning');
}
