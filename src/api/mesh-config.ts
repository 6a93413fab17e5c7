import { checkSchema } from '#api/check-schema.ts';
import type { Diagnostic } from '#api/diagnostic.ts';
import { readDocuments } from '#api/documents.ts';
import { checkExtensionProviders, extensionProvider } from '#api/extension-provider.ts';
import { warning } from '#api/field-error.ts';
import { checkLocality } from '#api/kinds/load-balancer-rules.ts';
import { localityLbSetting } from '#api/kinds/traffic-policy.ts';
import { choice, flag, integer, list, object, text, type ValueOf } from '#api/schema.ts';
import { CIPHER_SUITES, ECDH_CURVES } from '#base/tls-names.ts';

/** The ConfigMap, in the root namespace, in which Istio keeps the settings of the mesh. */
export const MESH_CONFIG = { name: 'istio', key: 'mesh' } as const;

const tlsConfig = {
  cipherSuites: list('Cipher suites of TLS 1.2.', choice('A name.', CIPHER_SUITES)),
  ecdhCurves: list(
    'Groups for the key exchange, the preferred first.',
    choice('A name.', ECDH_CURVES),
  ),
};

const proxyConfig = object('What proxies are started with; only what is here counts.', {
  gatewayTopology: object('What stands before the gateways.', {
    numTrustedProxies: integer('Proxies whose word about the caller’s address is taken.', {
      minimum: 0,
      maximum: 100,
    }),
    proxyProtocol: object('Connections begin with the caller’s address (PROXY protocol).', {}),
  }),
});

/** Istio's ProxyConfig, as far as it counts here. */
export interface ProxyConfig extends ValueOf<typeof proxyConfig> {}

/** The annotation by which an object says it of the proxies of its workloads. */
export const PROXY_CONFIG = 'proxy.istio.io/config';

/**
 * Reads the configuration of the proxies of a workload, which goes over that of the mesh.
 * @param source YAML or JSON, as Istio has it in its annotation
 * @param field where it stands, for diagnostics
 */
export function readProxyConfig(source: string, field: string) {
  const { documents, diagnostics: unreadable } = readDocuments(source, { source: field });
  const diagnostics: Diagnostic[] = unreadable.map(at(field));
  const config = checkSchema(proxyConfig, documents[0]?.value ?? {}, field, {
    unknownFields: 'warning',
    full: false,
    report: (diagnostic) => diagnostics.push(diagnostic),
  }) as ProxyConfig;
  const isBroken = diagnostics.some(({ severity }) => severity === 'error');
  return { config: isBroken ? {} : config, diagnostics };
}

/** Reports what is wrong with the configuration of proxies in annotations. */
export function checkProxyConfig(
  annotations: Readonly<Record<string, string>> | undefined,
  field: string,
  report: (diagnostic: Diagnostic) => void,
): void {
  const source = annotations?.[PROXY_CONFIG];
  if (source === undefined) return;
  readProxyConfig(source, `${field}[${PROXY_CONFIG}]`).diagnostics.forEach(report);
}

const meshConfig = object('Settings of the mesh that may change while it runs.', {
  enableAutoMtls: flag('Mutual TLS to every endpoint that can, with nothing configured.', {
    nullable: true,
  }),
  outboundTrafficPolicy: object('What becomes of calls to hosts that the mesh does not know.', {
    mode: choice('ALLOW_ANY when left out.', ['ALLOW_ANY', 'REGISTRY_ONLY']),
  }),
  pathNormalization: object('What is made of a path before policy sees it.', {
    normalization: choice('DEFAULT is the way of the hardening profile.', [
      'DEFAULT',
      'NONE',
      'BASE',
      'MERGE_SLASHES',
      'DECODE_AND_MERGE_SLASHES',
    ]),
  }),
  meshMTLS: object('TLS between proxies.', {
    minProtocolVersion: choice('TLSV1_2 when left out.', ['TLS_AUTO', 'TLSV1_2', 'TLSV1_3']),
    ...tlsConfig,
  }),
  tlsDefaults: object('TLS that proxies open to servers outside of the mesh.', tlsConfig),
  extensionProviders: list('What policies of action CUSTOM can ask.', extensionProvider),
  defaultConfig: proxyConfig,
  localityLbSetting: {
    ...localityLbSetting,
    description: 'Preference of near endpoints; checked, and has no effect yet.',
  },
  trustDomain: text('The trust domain; has no effect here.'),
  trustDomainAliases: list('Its other names; have no effect here.', text('A trust domain.')),
  rootNamespace: text('The root namespace; has no effect here.'),
});

/** Istio's MeshConfig, as far as it may change while the server runs. */
export interface MeshConfig extends ValueOf<typeof meshConfig> {}

/** What a text holds, and what is wrong with it; nothing is taken of a text with an error. */
export interface MeshConfigReading {
  readonly config: MeshConfig;
  readonly diagnostics: readonly Diagnostic[];
}

/** Settings on which certificates and stored data depend; the server takes them when it starts. */
const FIXED = ['trustDomain', 'trustDomainAliases', 'rootNamespace'] as const;

/**
 * Reads the settings of the mesh.
 * @param source YAML, as Istio has it in its ConfigMap
 * @param field where it stands, for diagnostics
 */
export function readMeshConfig(source: string, field: string): MeshConfigReading {
  const { documents, diagnostics: unreadable } = readDocuments(source, { source: field });
  if (unreadable.length > 0) return { config: {}, diagnostics: unreadable.map(at(field)) };
  const diagnostics: Diagnostic[] = [];
  const value = checkSchema(meshConfig, documents[0]?.value ?? {}, field, {
    unknownFields: 'warning',
    full: false,
    report: (diagnostic) => diagnostics.push(diagnostic),
  }) as MeshConfig;
  const { extensionProviders = [] } = value;
  const report = (diagnostic: Diagnostic) => diagnostics.push(diagnostic);
  checkExtensionProviders(extensionProviders, `${field}.extensionProviders`, report);
  if (value.localityLbSetting !== undefined) {
    const at = `${field}.localityLbSetting`;
    checkLocality(value.localityLbSetting, at, report, { outlierDetection: true });
    diagnostics.push(warning(at, 'near endpoints are not preferred yet'));
  }
  for (const name of FIXED) {
    if (value[name] === undefined) continue;
    const remedy = 'set it where the server is started';
    diagnostics.push(warning(`${field}.${name}`, `${name} has no effect here`, remedy));
  }
  if (value.pathNormalization?.normalization === 'NONE') {
    const message = 'policies with paths can be got around: `/public/../admin` is not `/admin`';
    diagnostics.push(warning(`${field}.pathNormalization.normalization`, message));
  }
  const isBroken = diagnostics.some(({ severity }) => severity === 'error');
  return { config: isBroken ? {} : value, diagnostics };
}

/** Where a text stands in an object its own lines say nothing to the user. */
function at(field: string): (diagnostic: Diagnostic) => Diagnostic {
  return ({ severity, message, reason, remedy }) => ({
    severity,
    field,
    message,
    ...(reason === undefined ? {} : { reason }),
    ...(remedy === undefined ? {} : { remedy }),
  });
}
