import { type ConfigMap, configMap } from '#api/kinds/config-map.ts';
import { MESH_CONFIG, type MeshConfig, readMeshConfig } from '#api/mesh-config.ts';
import { mergeMeshConfig } from '#api/mesh-merge.ts';
import type { BulwarkError } from '#base/errors.ts';
import type { Component } from '#base/lifecycle.ts';
import type { Logger } from '#base/log.ts';
import type { Mesh } from '#controlplane/mesh.ts';
import type { Store, StoreWatch } from '#store/store.ts';

export interface MeshConfigWatchDeps {
  readonly store: Store;
  readonly mesh: Mesh;
  /** Called after the settings of the mesh changed. */
  readonly onChange: () => void;
  readonly log: Logger;
}

/**
 * Keeps the settings of the mesh as the ConfigMap `istio` of the root namespace says, over those of
 * a shared one where there is one. A text that cannot be read changes nothing: the mesh keeps what
 * it has.
 */
export class MeshConfigWatch implements Component {
  readonly name = 'mesh-config';
  readonly #deps: MeshConfigWatchDeps;
  /** What the ConfigMaps said last that could be read: a later one is merged over those before. */
  readonly #configs: Map<string, MeshConfig>;
  #watch: StoreWatch | undefined;
  #isClosed = false;

  constructor(deps: MeshConfigWatchDeps) {
    this.#deps = deps;
    const { sharedConfig } = deps.mesh;
    const names = sharedConfig === undefined ? [] : [sharedConfig];
    this.#configs = new Map([...names, MESH_CONFIG.name].map((name) => [name, {}]));
  }

  async start(): Promise<void> {
    const { store, mesh } = this.#deps;
    const from = await store.currentVersion();
    const { rootNamespace: namespace } = mesh.settings;
    for (const name of this.#configs.keys()) {
      const object = await store.get({ kind: configMap.id, namespace, name });
      this.#read(name, object as ConfigMap | undefined);
    }
    this.#take();
    if (this.#isClosed) return;
    this.#watch = store.watch(
      { kinds: [configMap.id], namespace, from },
      {
        onEvent: ({ type, object: changed }) => {
          const { name } = changed.metadata;
          if (!this.#configs.has(name)) return;
          this.#read(name, type === 'DELETED' ? undefined : (changed as ConfigMap));
          this.#take();
        },
        onError: (error) => void this.#again(error),
      },
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    this.#watch = undefined;
  }

  async #again(error: BulwarkError): Promise<void> {
    if (this.#isClosed) return;
    const { log } = this.#deps;
    log.warn('the watch of the mesh configuration ended; reading it again', { error });
    try {
      await this.start();
    } catch (cause) {
      log.error('the mesh configuration cannot be read; changes of it have no effect', { cause });
    }
  }

  #read(name: string, object: ConfigMap | undefined): void {
    const field = `data[${MESH_CONFIG.key}]`;
    const { config, diagnostics } = readMeshConfig(object?.data?.[MESH_CONFIG.key] ?? '', field);
    const problems = diagnostics.map(({ field: place, message }) => `${place}: ${message}`);
    const said = { configMap: name, problems };
    if (problems.length > 0)
      this.#deps.log.warn('parts of the mesh configuration have no effect', said);
    if (!diagnostics.some(({ severity }) => severity === 'error')) this.#configs.set(name, config);
  }

  #take(): void {
    const { mesh, log, onChange } = this.#deps;
    const config = [...this.#configs.values()].reduce<MeshConfig>(mergeMeshConfig, {});
    if (!mesh.useConfig(config)) return;
    // Values may be secrets: headers that are added for a provider.
    log.info('the settings of the mesh changed', { fields: Object.keys(config) });
    onChange();
  }
}
