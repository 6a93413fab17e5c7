/** A file of `kubeapi/`: requests to a real Kubernetes API server, with its answers. */
export interface Transcript {
  readonly area: string;
  readonly scenarios: readonly Scenario[];
}

export interface Scenario {
  readonly name: string;
  /** Made before the first step. */
  readonly namespaces?: readonly string[] | null;
  readonly steps: readonly Step[];
}

/** A request, a watch that is opened or ended, or a pause; by which fields it has. */
export interface Step {
  readonly name: string;
  /** Who asks: a user, `anonymous`, `cert:NAME`, or `token:TOKEN`. */
  readonly as?: string;
  readonly request?: SentRequest;
  readonly response?: RecordedResponse;
  /** Opens a watch under this name. */
  readonly watch?: string;
  /** Ends that watch, which has delivered these events. */
  readonly watchEnd?: string;
  readonly events?: readonly WatchEvent[];
  /** Who ended it: begins with `server` when it was not the client. */
  readonly ended?: string;
  readonly sleepMs?: number;
  readonly waitFor?: { readonly path: string; readonly status: number };
  /** What the server goes through here; without it nothing of the rest can be asked. */
  readonly needs?: string;
  /** The real server's own answer differs from run to run: only its status counts. */
  readonly varies?: unknown;
}

export interface SentRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly text?: string;
  /** Of a body that is too big to be written down. */
  readonly bodyDescription?: string;
}

export interface RecordedResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A part of the body. */
  readonly bodySubset?: unknown;
}

export interface WatchEvent {
  readonly type: string;
  readonly object?: {
    readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  };
}
