import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import { ADMIN_PATHS, type JwksView, type MeshView } from '#admin/contract.ts';
import type { SourceDocument } from '#api/documents.ts';
import { type ConfigMap, configMap } from '#api/kinds/config-map.ts';
import { secret } from '#api/kinds/secret.ts';
import { kindById, kindOf } from '#api/kinds.ts';
import { MESH_CONFIG, readMeshConfig } from '#api/mesh-config.ts';
import type { ApiObject, KindId } from '#api/object.ts';
import { BulwarkError } from '#base/errors.ts';
import type { SettingName } from '#base/settings-table.ts';
import { connect } from '#cli/connect.ts';
import type { CliContext } from '#cli/context.ts';
import { fetchedLists, noteUnknownLists } from '#cli/mesh/fetched-lists.ts';
import { formatDiagnostic, readObjects } from '#cli/read-objects.ts';
import { addSettingOptions, settingsOf } from '#cli/settings-options.ts';
import { type KubeClient, refusal } from '#kubeclient/kube-client.ts';
import { configuredSettings } from '#model/configured-settings.ts';
import type { FetchedLists } from '#model/fetched-lists.ts';
import { KeySets, type KeySource } from '#model/key-sets.ts';
import { MeshModel, MODEL_KINDS } from '#model/mesh-model.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { startedSettings } from '#model/started-settings.ts';

/** An object by what users call it; `namespace` is '' for cluster-scoped kinds. */
export interface ObjectName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A place in a file. */
export interface WrittenAt {
  readonly file: string;
  readonly line: number;
}

/** A mesh as a command found it. */
export interface MeshRead {
  readonly snapshot: MeshSnapshot;
  /** Where a field of an object is written; undefined for one that a server has. */
  placeOf(object: ObjectName, field: string): WrittenAt | undefined;
}

/** What of a mesh its policies depend on, beside its objects. */
const MESH_SETTINGS: readonly SettingName[] = [
  'kubeconfig',
  'trustDomain',
  'trustDomainAliases',
  'clusterDomain',
  'rootNamespace',
  'autoMtls',
  'hardening',
];

/** Kinds that are asked of a server: nobody's secrets are fetched to answer a question. */
const LISTED: readonly KindId[] = MODEL_KINDS.filter((kind) => kind !== secret.id);

/** Adds the flags by which a command is told which mesh it is about. */
export function addMeshOptions(command: Command): Command {
  command
    .option('-f, --filename <file...>', 'files or folders with the objects; else a running server')
    .option('-n, --namespace <name>', 'namespace of what names none', 'default');
  return addSettingOptions(command, MESH_SETTINGS);
}

/** The flags of `addMeshOptions`. */
export interface MeshFlags {
  readonly filename?: readonly string[];
  readonly namespace: string;
}

/**
 * The mesh that the flags of a command name: that of files, else that of a running server or of a
 * cluster.
 * @throws BulwarkError API_INVALID when a file has errors, FILES_UNREADABLE, CLI_CONNECTION_FAILED,
 *   SETTINGS_INVALID
 */
export async function readMesh(
  command: Command,
  context: CliContext,
  { filename, namespace }: MeshFlags,
): Promise<MeshRead> {
  const settings = await settingsOf(command, context);
  const started = startedSettings(settings);
  if (filename !== undefined) {
    const read = await readMeshFiles(filename, { started, namespace, context });
    noteUnknownLists(read.snapshot, context);
    return read;
  }
  const client = await connect(settings);
  try {
    const found = await fetchObjects(client, context);
    const snapshot = snapshotOfServer(found, started);
    noteUnknownLists(snapshot, context);
    return { snapshot, placeOf: () => undefined };
  } finally {
    client.close();
  }
}

/** What files are read with. */
interface MeshFilesOptions {
  /** Settings that the mesh configuration among the files may change. */
  readonly started: MeshSettings;
  /** Of objects that name none. */
  readonly namespace: string;
  readonly context: Pick<CliContext, 'stderr'>;
}

/**
 * The mesh that files describe. Kinds that mean nothing to a mesh (a Deployment) are passed over.
 * @throws BulwarkError API_INVALID when a file has errors, which are written to standard error
 */
async function readMeshFiles(
  files: readonly string[],
  options: MeshFilesOptions,
): Promise<MeshRead> {
  const placed = await readPlaced(files, options);
  const places = new Map(placed.map(([object, place]) => [keyOf(nameOf(object)), place]));
  return {
    snapshot: snapshotOf(
      placed.map(([object]) => object),
      options.started,
    ),
    placeOf(object, field) {
      const document = places.get(keyOf(object));
      if (document === undefined) return undefined;
      return { file: document.source, line: document.positionOf(field).line };
    },
  };
}

/** Objects, each with what their kind leaves to defaults, and where they are written. */
async function readPlaced(
  files: readonly string[],
  { namespace, context }: MeshFilesOptions,
): Promise<readonly (readonly [ApiObject, SourceDocument | undefined])[]> {
  const { objects, diagnostics, written } = await readObjects(files, process.stdin);
  const errors = diagnostics.filter(
    ({ severity, reason }) => severity === 'error' && reason !== 'KindUnknown',
  );
  for (const one of errors) context.stderr.write(`${formatDiagnostic(one)}\n`);
  if (errors.length > 0)
    throw new BulwarkError('API_INVALID', 'the files have errors: correct the lines above first');
  return objects.map((object) => [withDefaults(object, namespace), written.get(object)] as const);
}

function withDefaults(object: ApiObject, namespace: string): ApiObject {
  const kind = kindOf(object.apiVersion, object.kind);
  const full = kind?.defaults?.(object) ?? object;
  if (!kind?.namespaced || full.metadata.namespace !== undefined) return full;
  return { ...full, metadata: { ...full.metadata, namespace } };
}

/** A mesh as a server has it, and as it would be with the objects of files among its own. */
export interface MeshChange {
  readonly before: MeshSnapshot;
  readonly after: MeshSnapshot;
  /** The objects of the files. */
  readonly changed: readonly ApiObject[];
}

/**
 * The mesh of a running server, with and without the objects of files in place of those of the same
 * name.
 * @throws BulwarkError as `readMesh` does
 */
export async function readMeshChange(
  command: Command,
  context: CliContext,
  { filename, namespace }: Required<MeshFlags>,
): Promise<MeshChange> {
  const settings = await settingsOf(command, context);
  const started = startedSettings(settings);
  const placed = await readPlaced(filename, { started, namespace, context });
  const changed = placed.map(([object]) => object);
  const client = await connect(settings);
  try {
    const found = await fetchObjects(client, context);
    const byName = (objects: readonly ApiObject[]) =>
      new Map(objects.map((object) => [keyOf(nameOf(object)), object]));
    const objects = [...byName([...found.objects, ...changed]).values()];
    const after = snapshotOfServer({ ...found, objects }, started);
    return { before: snapshotOfServer(found, started), after, changed };
  } finally {
    client.close();
  }
}

/** What a server has. */
interface ServerObjects {
  readonly objects: readonly ApiObject[];
  /** Undefined where nobody tells. */
  readonly settings: MeshSettings | undefined;
  readonly keySets: KeySets | undefined;
  readonly lists: FetchedLists | undefined;
}

async function fetchObjects(
  client: KubeClient,
  context: Pick<CliContext, 'stderr'>,
): Promise<ServerObjects> {
  const view = await client.send({ method: 'GET', path: ADMIN_PATHS.mesh });
  const isSilent = view.status === 404 || view.status === 403;
  if (view.status >= 400 && !isSilent) throw refusal(view);
  // A cluster without our server, or one whose administrator somebody else is.
  if (isSilent)
    context.stderr.write('note: settings of the mesh are those of flags and defaults\n');
  const told = isSilent ? undefined : (view.body as MeshView).settings;
  const lists = await Promise.all(
    LISTED.map(async (id) => {
      const { group, plural, apiVersion = '' } = kindById(id) ?? { group: '', plural: id };
      const base = group === '' ? '/api/v1' : `/apis/${apiVersion}`;
      const answer = await client.send({ method: 'GET', path: `${base}/${plural}` });
      // A cluster without the kind has no objects of it.
      if (answer.status === 404) return [];
      if (answer.status >= 400) throw refusal(answer);
      const { items } = answer.body as { readonly items: readonly ApiObject[] };
      // Kubernetes leaves out of lists what their own kind says.
      return items.map((item) => ({ ...item, apiVersion, kind: kindById(id)?.kind ?? '' }));
    }),
  );
  const keySets = told && (await fetchedKeys(client));
  const fetched = told && (await fetchedLists(client));
  return { objects: lists.flat(), settings: told, keySets, lists: fetched };
}

function snapshotOfServer(
  { objects, settings, keySets, lists }: ServerObjects,
  started: MeshSettings,
): MeshSnapshot {
  if (settings === undefined) return snapshotOf(objects, started);
  const model = modelOf(objects, settings);
  if (keySets !== undefined) model.useKeySets(keySets);
  if (lists !== undefined) model.useFetchedLists(lists);
  return model.snapshot();
}

/** Of which issuers the server has keys; the keys themselves are of no use here. */
async function fetchedKeys(client: KubeClient): Promise<KeySets> {
  const answer = await client.expect({ method: 'GET', path: ADMIN_PATHS.jwks });
  const ready = (answer as JwksView).sources.filter(({ state }) => state !== 'NO_KEYS');
  return new KeySets(
    new Map(
      ready.map(({ from, place }): [KeySource, string] => [
        from === 'url' ? `keys ${place}` : `issuer ${place}`,
        '{"keys": []}',
      ]),
    ),
  );
}

/** A snapshot with the settings that the mesh configuration among the objects says. */
function snapshotOf(objects: readonly ApiObject[], started: MeshSettings): MeshSnapshot {
  const config = objects.find(
    ({ kind, metadata }) =>
      kind === configMap.kind &&
      metadata.name === MESH_CONFIG.name &&
      metadata.namespace === started.rootNamespace,
  ) as ConfigMap | undefined;
  const text = config?.data?.[MESH_CONFIG.key] ?? '';
  const read = readMeshConfig(text, `data[${MESH_CONFIG.key}]`);
  const settings = { ...started, ...configuredSettings(read.config, started) };
  const model = modelOf(objects, started);
  if (!isDeepStrictEqual(settings, started)) model.useSettings(settings);
  return model.snapshot();
}

function modelOf(objects: readonly ApiObject[], settings: MeshSettings): MeshModel {
  const model = new MeshModel(settings);
  model.apply(
    objects.map((object) => ({
      type: 'ADDED',
      kind: kindOf(object.apiVersion, object.kind)?.id ?? '',
      object,
    })),
  );
  return model;
}

function nameOf({ kind, metadata }: ApiObject): ObjectName {
  return { kind, namespace: metadata.namespace ?? '', name: metadata.name };
}

function keyOf({ kind, namespace, name }: ObjectName): string {
  return `${kind}/${namespace}/${name}`;
}
