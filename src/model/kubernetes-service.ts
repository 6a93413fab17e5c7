import type { Service as ServiceObject } from '#api/kinds/service.ts';
import { declaredProtocol } from '#model/protocol.ts';
import { distinctPorts, type Service, type ServicePort } from '#model/service.ts';

/** On a Service: namespaces that see it, with commas between them. */
const EXPORT_TO = 'networking.istio.io/exportTo';

/**
 * The service that a Kubernetes Service describes. Undefined for ExternalName, which is an alias in
 * DNS: calls go to the name it stands for.
 */
export function readKubernetesService(
  object: ServiceObject,
  clusterDomain: string,
): Service | undefined {
  const { name, namespace = '', annotations } = object.metadata;
  const spec = object.spec ?? {};
  if (spec.type === 'ExternalName') return undefined;
  const selector = spec.selector ?? {};
  const addresses = [...(spec.clusterIPs ?? []), spec.clusterIP ?? ''];
  return {
    host: `${name}.${namespace}.svc.${clusterDomain}`,
    name,
    namespace,
    ports: readPorts(spec.ports ?? []),
    addresses: [...new Set(addresses)].filter((address) => address !== '' && address !== 'None'),
    resolution: 'static',
    headless: spec.clusterIP === 'None',
    external: false,
    selector: Object.keys(selector).length === 0 ? undefined : selector,
    subjectAltNames: [],
    exportTo: (annotations?.[EXPORT_TO] ?? '')
      .split(',')
      .map((target) => target.trim())
      .filter((target) => target !== ''),
    source: object,
  };
}

type ObjectPorts = NonNullable<NonNullable<ServiceObject['spec']>['ports']>;

function readPorts(ports: ObjectPorts): readonly ServicePort[] {
  return distinctPorts(
    ports.map((port) => ({
      name: port.name ?? '',
      port: port.port,
      targetPort: port.targetPort ?? port.port,
      protocol: declaredProtocol({
        transport: port.protocol,
        appProtocol: port.appProtocol,
        name: port.name,
        port: port.port,
      }),
    })),
  );
}
