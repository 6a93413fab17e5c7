import { type ConfigMap, configMap } from '#api/kinds/config-map.ts';
import { MESH_CONFIG, readMeshConfig } from '#api/mesh-config.ts';
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
 * Keeps the settings of the mesh as the ConfigMap `istio` of the root namespace says. A text that
 * cannot be read changes nothing: the mesh keeps what it has.
 */
export class MeshConfigWatch implements Component {
  readonly name = 'mesh-config';
  readonly #deps: MeshConfigWatchDeps;
  #watch: StoreWatch | undefined;
  #isClosed = false;

  constructor(deps: MeshConfigWatchDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    const { store, mesh } = this.#deps;
    const from = await store.currentVersion();
    const { rootNamespace: namespace } = mesh.settings;
    const object = await store.get({ kind: configMap.id, namespace, name: MESH_CONFIG.name });
    this.#take(object as ConfigMap | undefined);
    if (this.#isClosed) return;
    this.#watch = store.watch(
      { kinds: [configMap.id], namespace, from },
      {
        onEvent: ({ type, object: changed }) => {
          if (changed.metadata.name !== MESH_CONFIG.name) return;
          this.#take(type === 'DELETED' ? undefined : (changed as ConfigMap));
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

  #take(object: ConfigMap | undefined): void {
    const { mesh, log, onChange } = this.#deps;
    const field = `data[${MESH_CONFIG.key}]`;
    const { config, diagnostics } = readMeshConfig(object?.data?.[MESH_CONFIG.key] ?? '', field);
    const problems = diagnostics.map(({ field: place, message }) => `${place}: ${message}`);
    if (problems.length > 0)
      log.warn('parts of the mesh configuration have no effect', { problems });
    if (diagnostics.some(({ severity }) => severity === 'error')) return;
    if (!mesh.useConfig(config)) return;
    // Values may be secrets: headers that are added for a provider.
    log.info('the settings of the mesh changed', { fields: Object.keys(config) });
    onChange();
  }
}
