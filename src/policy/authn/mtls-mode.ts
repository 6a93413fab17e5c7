/** Which connections a port takes: plaintext only, both, or mutual TLS only. */
export type MtlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

/** As `MtlsMode`, or no connection at all: a policy asks for what no caller can prove. */
export type InboundMode = MtlsMode | 'REFUSE';

/** What holds for the connections that one workload takes. Immutable. */
export interface InboundMtls {
  /** Of every port that `ports` does not have. */
  readonly mode: InboundMode;
  /** Ports of the workload that have a mode of their own. */
  readonly ports: ReadonlyMap<number, InboundMode>;
}

/** The mode of one port of a workload. */
export function modeOfPort(mtls: InboundMtls, workloadPort: number): InboundMode {
  return mtls.ports.get(workloadPort) ?? mtls.mode;
}
