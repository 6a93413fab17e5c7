import { ageColumn } from '#api/columns.ts';
import { invalid, required, violates } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { checkEndpoint, checkPort } from '#api/kinds/endpoint-rules.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { workloadEntrySpec } from '#api/kinds/workload-entry.ts';
import { checkProxyConfig } from '#api/mesh-config.ts';
import { checkLabels } from '#api/metadata.ts';
import type { ApiObject } from '#api/object.ts';
import { integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

const port = () => integer('Port number.', { minimum: 0, maximum: 4_294_967_295 });
const seconds = (description: string) => integer(description, { format: 'int32', minimum: 0 });

const probe = object('How the readiness of the workload is found out; one of the four ways.', {
  initialDelaySeconds: seconds('Seconds before the first probe.'),
  timeoutSeconds: seconds('Seconds until a probe has failed.'),
  periodSeconds: seconds('Seconds between probes.'),
  successThreshold: seconds('Successes in a row that make the workload ready.'),
  failureThreshold: seconds('Failures in a row that make the workload not ready.'),
  httpGet: object(
    'Ready when an HTTP GET is answered with 200 to 399.',
    {
      path: text('Path of the request.'),
      port: port(),
      host: text('Host to connect to; the workload itself when left out.'),
      scheme: text('`HTTP` or `HTTPS`.'),
      httpHeaders: list(
        'Headers of the request.',
        object('One header.', {
          name: text('Name of the header.', { pattern: '^[-_A-Za-z0-9]+$' }),
          value: text('Value of the header.'),
        }),
      ),
    },
    { required: ['port'] },
  ),
  tcpSocket: object(
    'Ready when the port takes a connection.',
    { host: text('Host to connect to; the workload itself when left out.'), port: port() },
    { required: ['port'] },
  ),
  exec: object(
    'Ready when the command ends with 0.',
    {
      command: list('The command and its arguments; no shell.', text('A word.', { minLength: 1 })),
    },
    { required: ['command'] },
  ),
  grpc: object('Ready when the gRPC health service says so.', {
    service: text('Service to ask for; the server as a whole when left out.'),
    port: port(),
  }),
});

const spec = object(
  'What the entries of a group of workloads have in common.',
  {
    metadata: object('Labels and annotations that every entry of the group gets.', {
      labels: map('Labels.', text('The value of the label.'), { maxProperties: 256 }),
      annotations: map('Annotations.', text('The value of the annotation.'), {
        maxProperties: 256,
      }),
    }),
    template: { ...workloadEntrySpec, description: 'What every entry of the group is made from.' },
    probe,
  },
  { required: ['template'] },
);

/** `spec.probe`. */
export interface WorkloadProbe extends ValueOf<typeof probe> {}
/** What a WorkloadGroup says. */
export interface WorkloadGroupSpec extends ValueOf<typeof spec> {}

/** Istio's WorkloadGroup (networking.istio.io v1, v1beta1, v1alpha3). */
export interface WorkloadGroup extends ApiObject {
  readonly spec: WorkloadGroupSpec;
  readonly status?: IstioStatus;
}

/** Ways to probe, of which a probe has one. */
const PROBE_WAYS = ['httpGet', 'tcpSocket', 'exec', 'grpc'] as const;

function checkProbe(probe: WorkloadProbe, report: Report): void {
  const field = 'spec.probe';
  const ways = PROBE_WAYS.filter((way) => probe[way] !== undefined);
  if (ways.length !== 1) {
    report(violates(field, `must have exactly one of ${PROBE_WAYS.join(', ')}`));
  }
  for (const way of ['httpGet', 'tcpSocket', 'grpc'] as const) {
    const number = probe[way]?.port;
    if (number !== undefined) checkPort(number, `${field}.${way}.port`, report);
  }
  const scheme = probe.httpGet?.scheme;
  if (scheme !== undefined && !['', 'HTTP', 'HTTPS'].includes(scheme)) {
    const detail = 'scheme must be one of [HTTP, HTTPS]';
    report(invalid(`${field}.httpGet.scheme`, scheme, detail));
  }
  for (const [index, header] of (probe.httpGet?.httpHeaders ?? []).entries()) {
    if (!header.name) report(required(`${field}.httpGet.httpHeaders[${index}].name`));
  }
  if (probe.exec?.command.length === 0) report(required(`${field}.exec.command`));
}

function check(object: WorkloadGroup, report: Report): void {
  const { metadata, template, probe: readiness } = object.spec;
  checkLabels(metadata?.labels ?? {}, 'spec.metadata.labels', report);
  checkProxyConfig(metadata?.annotations, 'spec.metadata.annotations', report);
  // An entry gets its address when it registers, so the template need not have one.
  checkEndpoint(template, 'spec.template', report);
  if (readiness !== undefined) checkProbe(readiness, report);
}

/** WorkloadGroup. */
export const workloadGroup = defineIstioKind<WorkloadGroup>({
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  kind: 'WorkloadGroup',
  plural: 'workloadgroups',
  shortNames: ['wg'],
  description: 'A group of workloads outside Kubernetes that register themselves.',
  spec,
  specRequired: true,
  columns: [ageColumn],
  check,
});
