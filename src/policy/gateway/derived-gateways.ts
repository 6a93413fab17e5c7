import { type Gateway, type GatewayServer, gateway } from '#api/kinds/gateway.ts';
import type { GatewayClass } from '#api/kinds/gateway-class.ts';
import type { KubernetesGateway, KubernetesListener } from '#api/kinds/kubernetes-gateway.ts';
import type { Namespace } from '#api/kinds/namespace.ts';
import type { NamespacedObjects } from '#model/namespaced-objects.ts';
import { labelsMatch } from '#model/selector.ts';
import { GATEWAY_NAME } from '#policy/target-references.ts';
import { configMapCredential, gatewayCredential } from '#policy/tls/credential-name.ts';

/** Stands in names of what was derived; no name that users write has it. */
const SEPARATOR = '~';

/** The name of the Gateway that a listener comes to. */
export function derivedName(gatewayName: string, listener: string): string {
  return `${gatewayName}${SEPARATOR}${listener}`;
}

/** Whether an object was derived from the Gateway API, by its name or `namespace/name`. */
export function isDerived(name: string): boolean {
  return name.includes(SEPARATOR);
}

/** The name that users wrote of what was derived: of the Gateway, or of the HTTPRoute. */
export function writtenName(name: string): string {
  return name.split(SEPARATOR, 1)[0] ?? name;
}

/** Classes that are there without an object, and their controllers. */
const CLASSES: ReadonlyMap<string, string> = new Map([
  ['istio', 'istio.io/gateway-controller'],
  ['bulwark', 'bulwark.mesh/gateway'],
]);
/** Controllers whose classes are served. */
export const CONTROLLERS: readonly string[] = [...CLASSES.values()];

/** The controller that a Gateway is served as, by its class; undefined for one that is not ours. */
export function controllerOf(
  { spec }: KubernetesGateway,
  classes: NamespacedObjects<GatewayClass>,
): string | undefined {
  const { gatewayClassName: name } = spec;
  const found = classes.get('', name);
  if (!found) return CLASSES.get(name);
  const { controllerName } = found.spec;
  return CONTROLLERS.includes(controllerName) ? controllerName : undefined;
}

/**
 * A listener of the Gateway API as a Gateway with one server, for workloads of its namespace that
 * carry the Gateway's name in a label. Undefined where nothing is served: listeners of HTTP and
 * HTTPS are.
 */
export function derivedGateway(
  object: KubernetesGateway,
  listener: KubernetesListener,
  namespaces: NamespacedObjects<Namespace>,
): Gateway | undefined {
  const { name, namespace = '', creationTimestamp } = object.metadata;
  const { port: number, protocol, hostname = '*' } = listener;
  if (protocol !== 'HTTP' && protocol !== 'HTTPS') return undefined;
  const hosts = namespacesOf(listener, namespace, namespaces).map((one) => `${one}/${hostname}`);
  const server: GatewayServer = {
    port: { number, protocol, name: listener.name },
    hosts,
    ...(protocol === 'HTTPS' && { tls: tlsOf(listener, object) }),
  };
  return {
    apiVersion: gateway.apiVersion,
    kind: gateway.kind,
    metadata: {
      name: derivedName(name, listener.name),
      namespace,
      ...(creationTimestamp && { creationTimestamp }),
    },
    spec: { selector: { [GATEWAY_NAME]: name }, servers: [server] },
  };
}

/** Namespaces whose routes may belong to a listener; `*` = all. */
function namespacesOf(
  { allowedRoutes }: KubernetesListener,
  own: string,
  namespaces: NamespacedObjects<Namespace>,
): readonly string[] {
  const { from = 'Same', selector } = allowedRoutes?.namespaces ?? {};
  switch (from) {
    case 'All':
      return ['*'];
    case 'Same':
      return [own];
    case 'Selector':
      // Expressions are refused when they are written; where they are in a file, nothing matches.
      if (!selector || selector.matchExpressions?.length) return [];
      return namespaces
        .in('')
        .filter(({ metadata }) => labelsMatch(selector.matchLabels ?? {}, metadata.labels ?? {}))
        .map(({ metadata }) => metadata.name);
    case 'None':
      return [];
  }
}

/** How a listener verifies callers: as it says itself, or its Gateway for the port, or for all. */
function validationOf({ tls, port }: KubernetesListener, { spec }: KubernetesGateway) {
  const { default: usual, perPort = [] } = spec.tls?.frontend ?? {};
  const ofPort = perPort.find((one) => one.port === port)?.tls.validation;
  return tls?.frontendValidation ?? ofPort ?? usual?.validation;
}

/**
 * What a listener verifies its callers with: undefined = they are not verified, `none` = with what
 * cannot be used, so that nobody gets in.
 */
function authoritiesOf(
  listener: KubernetesListener,
  object: KubernetesGateway,
): string | 'none' | undefined {
  const validation = validationOf(listener, object);
  if (validation === undefined) return undefined;
  const own = object.metadata.namespace ?? '';
  const { mode = 'AllowValidOnly', caCertificateRefs = [] } = validation;
  const [authorities, ...more] = caCertificateRefs;
  if (mode !== 'AllowValidOnly' || authorities === undefined || more.length > 0) return 'none';
  const { kind, group = '', namespace = own, name } = authorities;
  const isUsable = kind === 'ConfigMap' && group === '' && namespace === own;
  return isUsable ? configMapCredential(namespace, name) : 'none';
}

/** Whether a listener of HTTPS is served once its Secrets are there. */
export function isServedOverTls(listener: KubernetesListener, object: KubernetesGateway): boolean {
  return tlsOf(listener, object).mode !== 'AUTO_PASSTHROUGH';
}

/** Secrets of other namespaces are not given to gateways; without one there is no server. */
function tlsOf(
  listener: KubernetesListener,
  object: KubernetesGateway,
): NonNullable<GatewayServer['tls']> {
  const { tls } = listener;
  const own = object.metadata.namespace ?? '';
  const secrets = (tls?.certificateRefs ?? []).filter(
    ({ kind = 'Secret', group = '', namespace = own }) =>
      kind === 'Secret' && group === '' && namespace === own,
  );
  const authorities = authoritiesOf(listener, object);
  if (tls?.mode === 'Passthrough' || authorities === 'none' || secrets.length === 0)
    return { mode: 'AUTO_PASSTHROUGH' };
  const credentialNames = secrets.slice(0, 2).map(({ name }) => gatewayCredential(own, name));
  return authorities === undefined
    ? { mode: 'SIMPLE', credentialNames }
    : { mode: 'MUTUAL', credentialNames, caCertCredentialName: authorities };
}
