/** The parts of Envoy's resources that decide where a call goes, in their JSON form. */
export interface EnvoyListener {
  readonly name: string;
  readonly address?: {
    readonly socket_address?: { readonly address: string; readonly port_value?: number };
  };
  readonly filter_chains?: readonly FilterChain[];
  readonly default_filter_chain?: FilterChain;
  readonly listener_filters?: readonly {
    readonly name: string;
    readonly filter_disabled?: Readonly<Record<string, never>>;
  }[];
}

/** What a connection must be like for a chain to take it. */
export interface FilterChainMatch {
  readonly destination_port?: number;
  readonly prefix_ranges?: readonly {
    readonly address_prefix: string;
    readonly prefix_len?: number;
  }[];
  readonly server_names?: readonly string[];
  readonly transport_protocol?: string;
  readonly application_protocols?: readonly string[];
}

/** What is done with the connections that a chain takes. */
export interface FilterChain {
  readonly name?: string;
  readonly filter_chain_match?: FilterChainMatch;
  readonly transport_socket?: {
    readonly typed_config?: { readonly require_client_certificate?: boolean };
  };
  readonly filters?: readonly { readonly name: string; readonly typed_config?: FilterConfig }[];
}

/** Of a connection manager or a TCP proxy. */
export interface FilterConfig {
  readonly '@type': string;
  readonly cluster?: string;
  readonly route_config?: RouteConfiguration;
  readonly rds?: { readonly route_config_name: string };
}

/** A table of routes. */
export interface RouteConfiguration {
  readonly name?: string;
  readonly virtual_hosts?: readonly VirtualHost[];
}

/** Routes of some hosts. */
export interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes?: readonly Route[];
  readonly require_tls?: string;
}

/** One route. */
export interface Route {
  readonly name?: string;
  readonly match: RouteMatch;
  readonly route?: { readonly cluster?: string };
}

/** A text that must be met. */
export interface StringMatcher {
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly contains?: string;
  readonly safe_regex?: { readonly regex: string };
  readonly ignore_case?: boolean;
}

/** Which requests a route takes. */
export interface RouteMatch {
  readonly prefix?: string;
  readonly path?: string;
  readonly path_separated_prefix?: string;
  readonly safe_regex?: { readonly regex: string };
  readonly case_sensitive?: boolean;
  readonly headers?: readonly {
    readonly name: string;
    readonly present_match?: boolean;
    readonly string_match?: StringMatcher;
    readonly invert_match?: boolean;
    readonly treat_missing_header_as_empty?: boolean;
  }[];
}
