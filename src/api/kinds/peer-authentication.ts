import { ageColumn, fieldColumn } from '#api/columns.ts';
import { violates } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { defineIstioKind } from '#api/kinds/istio-kind.ts';
import type { IstioStatus } from '#api/kinds/istio-status.ts';
import { checkSelector, labelSelector } from '#api/kinds/workload-target.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, map, object, type ValueOf } from '#api/schema.ts';

const mtls = object('Whether connections must be mutual TLS.', {
  mode: choice('UNSET takes the mode of the namespace, then of the mesh, then PERMISSIVE.', [
    'UNSET',
    'DISABLE',
    'PERMISSIVE',
    'STRICT',
  ]),
});

const spec = object('Which connections a workload takes.', {
  selector: labelSelector,
  mtls,
  portLevelMtls: map('Another setting for single ports of the workload, by port number.', mtls, {
    minProperties: 1,
  }),
});

/** `spec.mtls` and the values of `spec.portLevelMtls`; without a mode it is UNSET. */
export interface MutualTls extends ValueOf<typeof mtls> {}
/** What a PeerAuthentication asks for. */
export interface PeerAuthenticationSpec extends ValueOf<typeof spec> {}

/**
 * Istio's PeerAuthentication (security.istio.io v1, v1beta1). A missing spec means the same as an
 * empty one.
 */
export interface PeerAuthentication extends ApiObject {
  readonly spec?: PeerAuthenticationSpec;
  readonly status?: IstioStatus;
}

/** Reports what is wrong with the port numbers that are the keys of `portLevelMtls`. */
function checkPorts(ports: readonly string[], report: Report): void {
  const field = 'spec.portLevelMtls';
  const rule = 'port must be between 1-65535';
  for (const port of ports) {
    if (!/^-?\d+$/.test(port)) {
      // As a cluster says it, whose rule converts the key first.
      const detail = `type conversion error from 'string' to 'int' evaluating rule: ${rule}`;
      report(violates(field, `"object": ${detail}`, `write a port number instead of "${port}"`));
    } else if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535) {
      report(violates(field, rule, `"${port}" is no port number`));
    }
  }
}

function check(object: PeerAuthentication, report: Report): void {
  const { selector, portLevelMtls } = object.spec ?? {};
  checkSelector(selector, 'spec.selector', report);
  if (portLevelMtls === undefined) return;
  checkPorts(Object.keys(portLevelMtls), report);
  if (Object.keys(selector?.matchLabels ?? {}).length > 0) return;
  const remedy = 'ports differ from workload to workload: select the workloads by their labels';
  report(violates('spec', 'portLevelMtls requires selector', remedy));
}

/** PeerAuthentication. */
export const peerAuthentication = defineIstioKind<PeerAuthentication>({
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  kind: 'PeerAuthentication',
  plural: 'peerauthentications',
  shortNames: ['pa'],
  description: 'Decides whether the connections that a workload takes must be mutual TLS.',
  spec,
  columns: [
    fieldColumn('Mode', '.spec.mtls.mode', 'Whether connections must be mutual TLS.'),
    ageColumn,
  ],
  check,
});
