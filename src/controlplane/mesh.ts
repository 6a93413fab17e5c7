import { isDeepStrictEqual } from 'node:util';
import type { MeshConfig } from '#api/mesh-config.ts';
import type { ApiObject } from '#api/object.ts';
import type { Settings } from '#base/settings-table.ts';
import { configuredSettings } from '#model/configured-settings.ts';
import { MeshModel } from '#model/mesh-model.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import { startedSettings } from '#model/started-settings.ts';
import type { Workload } from '#model/workload.ts';
import { Authorizer } from '#policy/authz/selection.ts';
import { DecidingObjects } from '#policy/deciding-objects.ts';
import { type Findings, findingsOf } from '#policy/findings.ts';
import { ConfigGenerator } from '#xds/generate/config-generator.ts';
import type { ProxyNode } from '#xds/proxy-node.ts';
import type { XdsSnapshot } from '#xds/resource.ts';

/** The pure middle: objects go in, configuration of proxies comes out. */
export class Mesh {
  readonly model: MeshModel;
  /** The ConfigMap under the mesh configuration; undefined = none. */
  readonly sharedConfig: string | undefined;
  /** Those that the server was started with. */
  readonly #started: MeshSettings;
  #settings: MeshSettings;
  #authorizer: Authorizer;
  #generator: ConfigGenerator;
  #deciding: DecidingObjects;

  /** @throws BulwarkError SPIFFE_INVALID when the trust domain is none */
  constructor(settings: Settings) {
    this.sharedConfig = settings.sharedMeshConfig;
    this.#started = startedSettings(settings);
    this.#settings = this.#started;
    this.model = new MeshModel(this.#settings);
    this.#authorizer = new Authorizer(this.#started);
    this.#deciding = new DecidingObjects(this.#authorizer, this.#started);
    this.#generator = new ConfigGenerator(this.#settings, { authorizer: this.#authorizer });
  }

  /** The settings of the mesh as they are now. */
  get settings(): MeshSettings {
    return this.#settings;
  }

  /**
   * Takes over what the mesh configuration says, in place of what the server was started with.
   * @returns whether that changed anything
   */
  useConfig(config: MeshConfig): boolean {
    const settings = { ...this.#started, ...configuredSettings(config, this.#started) };
    if (isDeepStrictEqual(settings, this.#settings)) return false;
    this.#settings = settings;
    this.model.useSettings(settings);
    this.#authorizer = new Authorizer(settings);
    this.#deciding = new DecidingObjects(this.#authorizer, settings);
    this.#generator = new ConfigGenerator(settings, { authorizer: this.#authorizer });
    return true;
  }

  /**
   * What a proxy may have now. @throws BulwarkError XDS_RESOURCE_INVALID; the proxy then keeps what
   * it has
   */
  snapshotFor(proxy: ProxyNode): XdsSnapshot {
    return this.#generator.snapshotFor(proxy, this.model.snapshot());
  }

  /** Grows with whatever may change what `snapshotFor` gives. */
  get version(): number {
    return this.model.snapshot().version;
  }

  /** The objects that decide about a workload; the same list for the same objects. */
  objectsDeciding(workload: Workload): readonly ApiObject[] {
    return this.#deciding.of(workload, this.model.snapshot());
  }

  /** What users should know about their policies, as the mesh is now. */
  findings(): Findings {
    return findingsOf(this.model.snapshot(), this.#authorizer);
  }
}
