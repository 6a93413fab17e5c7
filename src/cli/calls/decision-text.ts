import { OUTSIDE } from '#cli/calls/call-spelling.ts';
import type { MeshRead } from '#cli/mesh/read-mesh.ts';
import { formatTable } from '#cli/table.ts';
import type { Call } from '#policy/decide/call.ts';
import type { FollowedCall } from '#policy/decide/decider.ts';
import type { Decision } from '#policy/decide/decision.ts';
import { type Layer, type PolicyObject, shownObject } from '#policy/decide/layer.ts';
import { parseWorkloadId } from '#spiffe/spiffe-id.ts';

/**
 * `photo-ns/photo-frontend → datastore-ns/datastore:80 GET /photos`; through a gateway `outside →
 * edge/front:443 GET shop.example.com/a → shop/web:80`.
 */
export function callText(call: Call): string {
  const { via, to, http: sent, route } = call;
  const gateway = via ?? (to.entrance ? call : undefined);
  if (gateway) {
    const { http } = gateway;
    const host = http?.host ?? '';
    const isRequest = http !== undefined && http.method !== '';
    const what = isRequest ? ` ${http.method} ${host}${http.target}` : host && ` ${host}`;
    const isOn = via !== undefined && route?.answer === undefined;
    const onward = isOn ? ` → ${nameOf(to)}` : '';
    return `${callerText(gateway)} → ${nameOf(gateway.to)}${what}${onward}`;
  }
  const http = route?.called.http ?? sent;
  const request = http === undefined ? '' : ` ${http.method} ${http.target}`;
  return `${callerText(call)} → ${nameOf(route?.called ?? to)}${request}`;
}

function callerText({ from }: Call): string {
  const id = from.identity && parseWorkloadId(from.identity);
  return id ? `${id.namespace}/${id.serviceAccount}` : (from.identity ?? OUTSIDE);
}

function nameOf({ service, port }: Pick<Call['to'], 'service' | 'port'>): string {
  return `${service.namespace}/${service.name}:${port.port}`;
}

/** The decision with its reason, as one line. */
export function verdictText({ decision, decidedBy, asks, layers }: Decision): string {
  const { layer, reason, at } = decidedBy;
  const words = [...(layer === 'allow' ? [] : [layer]), ...(at === undefined ? [] : [`at ${at}`])];
  const where = words.length === 0 ? '' : ` [${words.join(' ')}]`;
  const route = layers.find((one) => one.layer === 'route' && layer !== 'route');
  const routed = route === undefined ? '' : ` (${route.reason})`;
  return `${decision}${ifProviders(asks)}: ${reason}${where}${routed}`;
}

function ifProviders(asks: readonly string[]): string {
  return asks.length === 0 ? '' : `, if the provider ${asks.join(' and ')} allows it`;
}

/** Everything about a decision, for people. */
export function explanationText({ call, decision }: FollowedCall, mesh: MeshRead): string {
  const { decidedBy, layers, nearest, advice, answer, asks } = decision;
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
    ...layerLines(layers, call),
    ...nearest.slice(0, 1).flatMap((one) => nearestText(one, mesh)),
    ...(advice === undefined ? [] : [`Smallest change that would allow it: ${advice}`]),
  ]);
}

/** A table of layers; of a call through a gateway one for each of both. */
function layerLines(layers: Decision['layers'], { to }: Call): readonly string[] {
  const shown = layers.filter(({ layer, outcome }) => layer !== 'revocation' || outcome === 'deny');
  const gateway = shown.find(({ at }) => at !== undefined)?.at;
  const isHere = ({ at }: Layer): boolean => at !== undefined;
  const table = (title: string, some: readonly Layer[]): readonly string[] => {
    const rows = some.map(({ layer, outcome, reason }) => [`  ${layer}`, outcome, reason]);
    return rows.length === 0 ? [] : [title, formatTable(rows).trimEnd()];
  };
  if (gateway === undefined) return table('Layers:', shown);
  const behind = shown.filter((one) => !isHere(one));
  return [
    ...table(`Layers at the gateway ${gateway}:`, shown.filter(isHere)),
    ...table(`Layers at ${nameOf(to)}, called by the gateway:`, behind),
  ];
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
export function decisionJson({ call, decision }: FollowedCall, mesh: MeshRead) {
  const { decidedBy, layers, nearest, advice, answer, target, asks } = decision;
  const isArrived = call.route?.answer === undefined;
  const { object, field = '' } = decidedBy;
  const gateway = call.via ?? (call.to.entrance ? call : undefined);
  return {
    from: (gateway ?? call).from.identity ?? null,
    ...(gateway && { through: nameOf(gateway.to) }),
    to: nameOf(target),
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
