import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { ApiObject } from '#api/object.ts';
import { meshSettings } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import { PeerAuthenticator } from '#policy/authn/inbound-mtls.ts';
import { modeOfPort } from '#policy/authn/mtls-mode.ts';
import type { Authorizer } from '#policy/authz/selection.ts';
import { targetsOf } from '#policy/decide/find-targets.ts';
import { shownObject } from '#policy/decide/layer.ts';
import { hostCovers, resolveHost } from '#policy/tls/host-match.ts';
import { modeSource } from '#policy/tls/mode-source.ts';

/** Something in a mesh that is weaker than it could be. */
export interface Weakness {
  /** The setting or object that says so: `setting hardening`, `PeerAuthentication ns/name`. */
  readonly from: string;
  /** What it is, with what it is about; a sentence without full stop. */
  readonly what: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** Settings of the mesh, then objects, then what nobody says anything about. Pure. */
export function weaknessesOf(mesh: MeshSnapshot, authorizer: Authorizer): readonly Weakness[] {
  return [
    ...settingWeaknesses(mesh),
    ...plaintextPorts(mesh),
    ...clientWeaknesses(mesh),
    ...authorizationWeaknesses(mesh),
    ...tokenWeaknesses(mesh),
    ...openServices(mesh, authorizer),
  ];
}

function settingWeaknesses({ settings }: MeshSnapshot): readonly Weakness[] {
  const wanted = meshSettings(settings.trustDomain);
  const found: Weakness[] = [];
  if (settings.hardening !== wanted.hardening)
    found.push({
      from: 'setting hardening',
      what: `is ${settings.hardening}: known gaps of Istio are open`,
      remedy: 'start the server with --hardening strict once no policy relies on a gap',
    });
  if (settings.pathNormalization !== wanted.pathNormalization)
    found.push({
      from: 'setting pathNormalization',
      what: `is ${settings.pathNormalization}: other spellings of a path get around rules about it`,
      remedy: `say ${wanted.pathNormalization} in the mesh configuration`,
    });
  if (!settings.autoMtls)
    found.push({
      from: 'setting autoMtls',
      what: 'is off: callers send plaintext wherever no DestinationRule says otherwise',
      remedy: 'turn it on',
    });
  if (settings.denialHeader)
    found.push({
      from: 'setting denialHeader',
      what: 'is on: who is denied learns the names of policies',
      remedy: 'turn it off outside of development',
    });
  return found;
}

/** Ports that take plaintext, by the object that says so. */
function plaintextPorts(mesh: MeshSnapshot): readonly Weakness[] {
  const authenticator = new PeerAuthenticator(mesh.settings);
  const bySource = new Map<string, Set<string>>();
  for (const { service, workload, workloadPort } of allTargets(mesh)) {
    const mode = modeOfPort(authenticator.inboundMtls(workload, mesh), workloadPort);
    if (mode !== 'PERMISSIVE' && mode !== 'DISABLE') continue;
    const source = modeSource(workload, workloadPort, mesh);
    const key = `${mode} ${source ? shown(source) : ''}`;
    const ports = bySource.get(key) ?? new Set();
    bySource.set(key, ports.add(`${service.namespace}/${service.name}:${workloadPort}`));
  }
  return [...bySource].map(([key, ports]) => {
    const mode = key.slice(0, key.indexOf(' '));
    const source = key.slice(mode.length + 1);
    return {
      from: source === '' ? 'nobody' : source,
      what: `${source === '' ? `asks for mutual TLS (${mode})` : mode}: ${listed([...ports])} ${
        mode === 'DISABLE' ? 'take plaintext only' : 'take plaintext, too'
      }`,
      remedy: 'see bulwark mtls status, then ask for STRICT',
    };
  });
}

function clientWeaknesses(mesh: MeshSnapshot): readonly Weakness[] {
  return mesh.destinationRules.all().flatMap((rule) =>
    tlsOf(rule).flatMap(({ mode, insecureSkipVerify }): Weakness[] => {
      const from = shown(rule);
      const { namespace = '' } = rule.metadata;
      const host = resolveHost(rule.spec.host, namespace, mesh.settings.clusterDomain);
      if (insecureSkipVerify === true)
        return [{ from, what: `${host} is not verified at all`, remedy: 'say caCertificates' }];
      const isPlain = mode === undefined || mode === 'DISABLE';
      const isInside = mesh.services
        .all()
        .some((one) => hostCovers(host, one.host) && !one.external);
      if (!isPlain || !isInside) return [];
      const what = `callers send plaintext to ${host}`;
      return [{ from, what, remedy: 'take tls away: the mesh then decides by itself' }];
    }),
  );
}

function tlsOf({ spec }: DestinationRule) {
  const policies = [spec.trafficPolicy, ...(spec.subsets ?? []).map((one) => one.trafficPolicy)];
  return policies.flatMap((policy) => [
    ...(policy?.tls ? [policy.tls] : []),
    ...(policy?.portLevelSettings ?? []).flatMap(({ tls }) => (tls ? [tls] : [])),
  ]);
}

const DRY_RUN = 'istio.io/dry-run';

function authorizationWeaknesses(mesh: MeshSnapshot): readonly Weakness[] {
  return mesh.authorizationPolicies.all().flatMap((policy): Weakness[] => {
    const from = shown(policy);
    const { action, rules = [] } = policy.spec ?? {};
    if (policy.metadata.annotations?.[DRY_RUN] === 'true')
      return [{ from, what: 'is a dry run: it denies nothing', remedy: `take ${DRY_RUN} away` }];
    const paths = rules.flatMap(({ to = [] }) => to.flatMap((one) => one.operation?.paths ?? []));
    if (action !== 'DENY' || paths.length === 0) return [];
    return [
      {
        from,
        what: `denies paths: other letters (/ADMIN) and parameters (/admin;a) are other paths`,
        remedy: 'allow the paths that are wanted where the application takes those for the same',
      },
    ];
  });
}

function tokenWeaknesses({ requestAuthentications, settings }: MeshSnapshot): readonly Weakness[] {
  return requestAuthentications.all().flatMap((object) =>
    (object.spec?.jwtRules ?? []).flatMap((rule): Weakness[] => {
      const from = shown(object);
      const lasting = rule.requireExpiration !== true && !settings.requireTokenExpiration;
      const forAnybody = (rule.audiences ?? []).length === 0;
      return [
        ...(lasting
          ? [
              {
                from,
                what: `takes tokens of ${rule.issuer} that never expire`,
                remedy: 'say requireExpiration: true, or requireTokenExpiration for the mesh',
              },
            ]
          : []),
        ...(forAnybody
          ? [
              {
                from,
                what: `takes tokens of ${rule.issuer} that were meant for others`,
                remedy: 'name the audiences',
              },
            ]
          : []),
      ];
    }),
  );
}

/** Services that no policy says anything about. */
function openServices(mesh: MeshSnapshot, authorizer: Authorizer): readonly Weakness[] {
  const open = allTargets(mesh)
    .filter(({ workload }) => authorizer.authorizationFor(workload, mesh).policies.length === 0)
    .map(({ service }) => `${service.namespace}/${service.name}`);
  const names = [...new Set(open)];
  if (names.length === 0) return [];
  const what = `says who may call ${listed(names)}: everybody may`;
  return [{ from: 'nobody', what, remedy: 'write an AuthorizationPolicy' }];
}

function allTargets(mesh: MeshSnapshot) {
  return mesh.services
    .all()
    .filter(({ external }) => !external)
    .flatMap((service) => service.ports.flatMap((port) => targetsOf(service, port, mesh)));
}

const NAMES_MAX = 5;

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return [...names.slice(0, NAMES_MAX), ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

function shown({ kind, metadata: { namespace = '', name } }: ApiObject): string {
  return shownObject({ kind, namespace, name });
}
