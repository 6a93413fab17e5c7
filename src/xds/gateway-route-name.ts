import { isIP } from 'node:net';

/** What a route configuration of a gateway is for, as its name says it. */
export interface GatewayRoute {
  readonly port: number;
  /** The address that is listened on, where a server names one. */
  readonly bind?: string;
  /** The server that ends TLS; servers of plaintext on one port have one configuration. */
  readonly server?: {
    /** The name of its port. */
    readonly name: string;
    /** `namespace/name` of its Gateway. */
    readonly gateway: string;
  };
}

/**
 * The name of a route configuration of a gateway, as Istio writes it: `http.80`, and for a server
 * that ends TLS `https.443.<port name>.<Gateway>.<namespace>`.
 */
export function gatewayRouteName({ port, bind = '', server }: GatewayRoute): string {
  const end = bind === '' ? '' : `.${bind}`;
  if (!server) return `http.${port}${end}`;
  const [namespace, name] = server.gateway.split('/');
  return `https.${port}.${server.name}.${name}.${namespace}${end}`;
}

/**
 * What the name of a route configuration says. Undefined for other names, and for one with a dot in
 * one of its parts: which Gateway it means cannot be told.
 */
export function parseGatewayRouteName(written: string): GatewayRoute | undefined {
  const [kind, number = '', ...rest] = written.split('.');
  const port = /^[1-9]\d{0,4}$/.test(number) ? Number(number) : 0;
  if (port < 1 || port > 65_535) return undefined;
  if (kind === 'http') {
    const bind = rest.join('.');
    if (bind === '') return rest.length === 0 ? { port } : undefined;
    return isIP(bind) === 0 ? undefined : { port, bind };
  }
  const [name, gateway, namespace] = rest;
  if (kind !== 'https' || rest.length !== 3 || !name || !gateway || !namespace) return undefined;
  return { port, server: { name, gateway: `${namespace}/${gateway}` } };
}
