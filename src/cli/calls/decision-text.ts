import type { DecidedCall } from '#cli/calls/call-flags.ts';
import { OUTSIDE } from '#cli/calls/read-call.ts';
import type { MeshRead } from '#cli/mesh/read-mesh.ts';
import { formatTable } from '#cli/table.ts';
import type { Call } from '#policy/decide/call.ts';
import type { Decision } from '#policy/decide/decider.ts';
import { type PolicyObject, shownObject } from '#policy/decide/layer.ts';
import { parseWorkloadId } from '#spiffe/spiffe-id.ts';

/** `photo-ns/photo-frontend → datastore-ns/datastore:80 GET /photos` */
export function callText({ from, to, http: sent, route }: Call): string {
  const id = from.identity && parseWorkloadId(from.identity);
  const caller = id ? `${id.namespace}/${id.serviceAccount}` : (from.identity ?? OUTSIDE);
  const { service, port } = route?.called ?? to;
  const http = route?.called.http ?? sent;
  const request = http === undefined ? '' : ` ${http.method} ${http.target}`;
  return `${caller} → ${service.namespace}/${service.name}:${port.port}${request}`;
}

/** The decision with its reason, as one line. */
export function verdictText({ decision, decidedBy, asks, layers }: Decision): string {
  const { layer, reason } = decidedBy;
  const where = layer === 'allow' ? '' : ` [${layer}]`;
  const route = layers.find((one) => one.layer === 'route' && layer !== 'route');
  const routed = route === undefined ? '' : ` (${route.reason})`;
  return `${decision}${ifProviders(asks)}: ${reason}${where}${routed}`;
}

function ifProviders(asks: readonly string[]): string {
  return asks.length === 0 ? '' : `, if the provider ${asks.join(' and ')} allows it`;
}

/** Everything about a decision, for people. */
export function explanationText({ call, decision }: DecidedCall, mesh: MeshRead): string {
  const { decidedBy, layers, nearest, advice, answer, asks } = decision;
  const shown = layers.filter(({ layer, outcome }) => layer !== 'revocation' || outcome === 'deny');
  const rows = shown.map(({ layer, outcome, reason }) => [`  ${layer}`, outcome, reason]);
  const { object, field = '', rule } = decidedBy;
  const decides =
    object === undefined ? [] : [`Decided by ${shownObject(object)}${at(mesh, object, field)}`];
  const details = [
    ...(field === '' ? [] : [`  field ${field}`]),
    ...(rule === undefined ? [] : [`  rule ${rule}`]),
  ];
  return lines([
    callText(call),
    `${decision.decision.toUpperCase()}${ifProviders(asks)}: ${decidedBy.reason}`,
    `The caller sees: ${answer}`,
    '',
    ...decides,
    ...(decides.length > 0 ? details : []),
    'Layers:',
    formatTable(rows).trimEnd(),
    ...nearest.slice(0, 1).flatMap((one) => nearestText(one, mesh)),
    ...(advice === undefined ? [] : [`Smallest change that would allow it: ${advice}`]),
  ]);
}

function nearestText(
  { object, rule, failed }: Decision['nearest'][number],
  mesh: MeshRead,
): readonly string[] {
  const [first] = failed;
  const place = at(mesh, object, first?.field ?? '');
  const fields = failed.flatMap(({ field, asked, given, isExcluded }) => [
    `  ${field}`,
    `    ${isExcluded ? 'excludes' : 'asks for'}  ${asked.join(', ')}`,
    `    the call has  ${given ?? 'nothing'}`,
  ]);
  return [`Nearest rule: ${shownObject(object)} ${rule}${place}`, ...fields];
}

function at(mesh: MeshRead, object: PolicyObject, field: string): string {
  const place = mesh.placeOf(object, field);
  return place === undefined ? '' : ` (${place.file}:${place.line})`;
}

function lines(texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}

/** Everything about a decision, for programs. */
export function decisionJson({ call, decision }: DecidedCall, mesh: MeshRead) {
  const { decidedBy, layers, nearest, advice, answer, target, asks } = decision;
  const isArrived = call.route?.answer === undefined;
  const { object, field = '' } = decidedBy;
  return {
    from: call.from.identity ?? null,
    to: `${target.service.namespace}/${target.service.name}:${target.port.port}`,
    workload: isArrived ? `${target.workload.namespace}/${target.workload.name}` : null,
    decision: decision.decision,
    answer,
    decidedBy: { ...decidedBy, place: object && mesh.placeOf(object, field) },
    ...(call.route && { route: routeJson(call) }),
    layers,
    nearest,
    advice,
    asks,
  };
}

/** What was asked for, and as what it was sent. */
function routeJson({ route, http }: Call) {
  const { service, port, http: asked } = route?.called ?? {};
  const called = service && `${service.namespace}/${service.name}:${port?.port}`;
  return { called, asked, ...(route?.answer === undefined && { sent: http }) };
}
