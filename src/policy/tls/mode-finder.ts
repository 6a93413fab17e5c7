import type { ApiObject } from '#api/object.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { Workload } from '#model/workload.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { type InboundMode, modeOfPort } from '#policy/authn/mtls-mode.ts';
import { modeSource } from '#policy/tls/mode-source.ts';

/** What decides about one port of a workload, and which connections that one takes. */
export interface DecidedMode {
  readonly mode: InboundMode;
  /** undefined = nobody says anything. */
  readonly source: ApiObject | undefined;
}

/** Asks what workloads take, of one snapshot; each answer is found once. */
export class ModeFinder {
  readonly #mesh: MeshSnapshot;
  readonly #authenticator: PeerAuthenticator;
  readonly #found = new Map<Workload, Map<number, DecidedMode>>();

  constructor(mesh: MeshSnapshot) {
    this.#mesh = mesh;
    this.#authenticator = new PeerAuthenticator(mesh.settings);
  }

  /** `workloadPort` 0 = every port that nothing is said about. */
  at(workload: Workload, workloadPort: number): DecidedMode {
    let ports = this.#found.get(workload);
    if (!ports) {
      ports = new Map();
      this.#found.set(workload, ports);
    }
    let decided = ports.get(workloadPort);
    if (!decided) {
      const mtls = this.#authenticator.inboundMtls(workload, this.#mesh);
      const source = modeSource(workload, workloadPort, this.#mesh);
      decided = { mode: modeOfPort(mtls, workloadPort), source };
      ports.set(workloadPort, decided);
    }
    return decided;
  }

  /** Ports of a workload about which something of its own is said. */
  portsOf(workload: Workload): readonly number[] {
    return [...this.#authenticator.inboundMtls(workload, this.#mesh).ports.keys()];
  }
}
