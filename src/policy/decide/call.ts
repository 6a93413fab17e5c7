import type { Labels } from '#model/selector.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { Workload } from '#model/workload.ts';
import type { HttpFacts } from '#policy/authz/request.ts';
import type { Layer } from '#policy/decide/layer.ts';
import type { GatewayPort } from '#policy/gateway/gateway-ports.ts';
import type { SpiffeId } from '#spiffe/spiffe-id.ts';

/** Who calls. */
export interface Caller {
  /** Undefined for who is not in the mesh: such a caller sends plaintext. */
  readonly identity: SpiffeId | undefined;
  /** Its namespace and labels decide which DestinationRule counts for it. */
  readonly namespace: string;
  readonly labels: Labels;
  /** '' = not known: rules about addresses do not match. */
  readonly address: string;
  /**
   * A certificate of authorities outside of the mesh, by the name that it is for ('' = whichever
   * is asked for), which it shows to gateways that ask for one.
   */
  readonly certificate?: string | undefined;
}

/** One place where a call may arrive. */
export interface Target {
  readonly service: Service;
  readonly port: ServicePort;
  readonly workload: Workload;
  /** The port that policies mean: the application's own. */
  readonly workloadPort: number;
  /** What was taken for the workload where none is registered. */
  readonly assumed: 'group' | 'selector' | undefined;
  /** The part of the service by which a route leads there; absent = the service as a whole. */
  readonly subset?: string;
  /**
   * With what a gateway listens, where the target is one; `service` and `port` then only say what
   * callers see of it.
   */
  readonly entrance?: GatewayPort;
}

/** What a caller means to get at behind a gateway. */
export interface BehindGateway {
  readonly service: Service;
  /** Undefined = any that the gateway leads to. */
  readonly port: ServicePort | undefined;
}

/** The token of a call: its payload, as a user gives it or as it was read. Not verified. */
export interface GivenToken {
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What the proxy of the caller made of a request, by the VirtualServices of its caller. */
export interface TakenRoute {
  /** What the application asked for. */
  readonly called: {
    readonly service: Service;
    readonly port: ServicePort;
    readonly http: Call['http'];
  };
  /** What the route says. */
  readonly layer: Layer;
  /** What the caller sees where no workload of the mesh is asked; undefined where one is. */
  readonly answer: string | undefined;
  /** What would help, where the route ends the call. */
  readonly advice: string | undefined;
}

/** One call whose fate is asked for. */
export interface Call {
  readonly from: Caller;
  readonly to: Target;
  /** Undefined for a connection that is not HTTP. */
  readonly http: Omit<HttpFacts, 'claims'> | undefined;
  readonly token: GivenToken | undefined;
  /**
   * How it came to go there, and as what; absent where no VirtualService has a say. Where the route
   * ends the call, `to` only stands for what was called.
   */
  readonly route?: TakenRoute;
  /** Of a call to a gateway: what it is meant for; absent = whatever it is led to. */
  readonly behind?: BehindGateway;
  /** Of a call that a gateway makes: the one that it was made for. */
  readonly via?: Call;
}
