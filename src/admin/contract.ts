import type { ListSource } from '#model/fetched-lists.ts';
import type { MeshSettings } from '#model/mesh-settings.ts';

/**
 * What the control plane tells about itself, as JSON, at paths of the API server that only
 * administrators may read. Command line and dashboard read these types.
 */
export const ADMIN_PATHS = {
  /** ProxiesView. */
  proxies: '/bulwark/v1alpha1/proxies',
  /** RootsView; `POST` a RootsRequest to take a step of the rotation. */
  roots: '/bulwark/v1alpha1/roots',
  /** JwksView; `POST` to fetch all of them now, answered with a JwksView. */
  jwks: '/bulwark/v1alpha1/jwks',
  /** ListsView. */
  lists: '/bulwark/v1alpha1/lists',
  /** BundlesView. */
  bundles: '/bulwark/v1alpha1/bundles',
  /** CertificatesView. */
  certificates: '/bulwark/v1alpha1/certificates',
  /** RevocationListsView. */
  revocationLists: '/bulwark/v1alpha1/revocation-lists',
  /** TrustDomainView. */
  trustDomain: '/bulwark/v1alpha1/trust-domain',
  /** MtlsView. */
  mtls: '/bulwark/v1alpha1/mtls',
  /** AuditView; the query says which records. */
  audit: '/bulwark/v1alpha1/audit',
  /** TrafficView; `since` in the query is in milliseconds since 1970. */
  traffic: '/bulwark/v1alpha1/traffic',
  /** MeshView. */
  mesh: '/bulwark/v1alpha1/mesh',
  /** `POST` a UserRequest, answered with a UserCertificate. */
  users: '/bulwark/v1alpha1/users',
} as const;

/** `POST /bulwark/v1alpha1/users`: somebody is to get a certificate for the API server. */
export interface UserRequest {
  readonly user: string;
  readonly groups: readonly string[];
  /** PEM: the public half of a key that never leaves the user. */
  readonly publicKey: string;
  readonly validDays: number;
}

/** What comes of it. */
export interface UserCertificate {
  /** PEM. */
  readonly certificate: string;
}

/** `GET /bulwark/v1alpha1/mesh`: what policies mean depends on these. */
export interface MeshView {
  /** As they are now. */
  readonly settings: MeshSettings;
}

/** How far a proxy got with one type of configuration. Instants in RFC 3339. */
export interface ProxyTypeView {
  /** `CDS`, `LDS`, `EDS`, `RDS`, `SDS`, `ECDS`. */
  readonly type: string;
  /**
   * `SYNCED`: it took all that it should have. `STALE`: the last response is not answered.
   * `REJECTED`: it refused something.
   */
  readonly state: 'SYNCED' | 'STALE' | 'REJECTED';
  readonly sentAt: string | undefined;
  readonly ackedAt: string | undefined;
  /** Envoy's words about the last refusal. */
  readonly error: string | undefined;
  /** Names of the resources that it does not take. */
  readonly rejected: readonly string[];
}

/** One connected proxy. */
export interface ProxyView {
  readonly name: string;
  readonly namespace: string;
  readonly identity: string;
  readonly envoyVersion: string;
  readonly address: string;
  readonly connectedAt: string;
  /** Why nothing could be made for it; it keeps what it has. */
  readonly failure: string | undefined;
  readonly types: readonly ProxyTypeView[];
}

/** What vouches for one trust domain. Instants in RFC 3339. */
export interface BundleView {
  readonly trustDomain: string;
  /** `this mesh`, the URL that it is fetched from, or the object that holds it. */
  readonly source: string;
  readonly roots: readonly {
    /** Lower case hex. */
    readonly serial: string;
    readonly notAfter: string;
  }[];
  /** Ids of the keys for tokens. */
  readonly keys: readonly string[];
  /** Which edition it is, where its maker says so. */
  readonly sequence: number | undefined;
  readonly fetchedAt: string | undefined;
  /** Why it is not used, or not fresh. */
  readonly error: string | undefined;
  /** The bundle itself as SPIFFE writes it; undefined while there is none. */
  readonly document: Readonly<Record<string, unknown>> | undefined;
}

/** The trust domains whose identities can be verified; those of the mesh first. */
export interface BundlesView {
  readonly bundles: readonly BundleView[];
  /** Who serves the bundle endpoint of this mesh, by the profile https_spiffe. */
  readonly endpointSpiffeId: string;
}

/** One certificate that was issued. Instants in RFC 3339. */
export interface CertificateView {
  /** Lower case hex. */
  readonly serial: string;
  readonly identity: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly issuedAt: string;
  /** Key id of its issuer, lower case hex. */
  readonly issuerKeyId: string;
  /** How its caller proved who it is: `certificate`, `join-token`, and so on. */
  readonly method: string;
  /** Which proof: a serial, the id of a token; may be ''. */
  readonly proof: string;
  /** The address that asked. */
  readonly caller: string;
}

/** `GET /bulwark/v1alpha1/certificates`: those that have not expired, the latest first. */
export interface CertificatesView {
  readonly certificates: readonly CertificateView[];
}

/** `GET /bulwark/v1alpha1/revocation-lists`. */
export interface RevocationListsView {
  /** Whether peers check lists in handshakes. */
  readonly areOut: boolean;
  /** For want of whose lists none is given out, for people; nobody when none is needed. */
  readonly missing: readonly string[];
}

/** `GET /bulwark/v1alpha1/proxies`. */
export interface ProxiesView {
  readonly proxies: readonly ProxyView[];
}

/** A root that the mesh trusts. Instants in RFC 3339. */
export interface RootView {
  /** `active`: it signs. The others: docs/guide/root-rotation.md. */
  readonly state: 'active' | 'prepared' | 'retired' | 'tainted';
  /** Lower case hex. */
  readonly serial: string;
  /** Its subject key id, lower case hex: what certificates name as their authority. */
  readonly keyId: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** How much of its life is over. */
  readonly usedPercent: number;
}

/** A workload that keeps a step from being safe: of the rotation of roots, or of a new name. */
export interface MissingTrustView {
  /** `<name>.<namespace>`. */
  readonly name: string;
  readonly identity: string;
  /** For people. */
  readonly reason: string;
}

/** `GET /bulwark/v1alpha1/roots`. */
export interface RootsView {
  /** The active one first. */
  readonly roots: readonly RootView[];
  /** The step that comes next. */
  readonly next: 'prepare' | 'activate' | 'taint' | 'revoke';
  /** Who is not ready for it. */
  readonly missing: readonly MissingTrustView[];
  /** Workloads that say what they trust. */
  readonly workloads: number;
  /** Identities with a certificate whose agents are waited for after a start; left out for none. */
  readonly unheard?: { readonly identities: number; readonly until: string };
}

/** An object in which an identity of another name of the trust domain is written. */
export interface NamingObjectView {
  readonly alias: string;
  readonly kind: string;
  /** '' for a cluster-scoped one. */
  readonly namespace: string;
  readonly name: string;
}

/** `GET /bulwark/v1alpha1/trust-domain`. */
export interface TrustDomainView {
  readonly trustDomain: string;
  readonly aliases: readonly string[];
  /** Workloads that are known. */
  readonly workloads: number;
  /** Who does not follow the present names yet; the next step is safe when nobody is here. */
  readonly missing: readonly MissingTrustView[];
  /** What names an alias; a thousand at most. */
  readonly objects: readonly NamingObjectView[];
}

/** `POST /bulwark/v1alpha1/roots`; answered with a RootsView, or 409 and a RootsRefusal. */
export interface RootsRequest {
  readonly step: 'prepare' | 'activate' | 'taint' | 'revoke' | 'abort';
  /** Names or identities of workloads that are not waited for. */
  readonly leaveBehind: readonly string[];
}

/** Why a step was not taken. */
export interface RootsRefusal {
  readonly message: string;
  readonly remedy?: string;
  readonly missing: readonly MissingTrustView[];
}

/** The keys of one issuer of tokens. Instants in RFC 3339. */
export interface JwksSourceView {
  /** The issuer that is asked where its keys are, or the URL at which they are. */
  readonly from: 'issuer' | 'url';
  readonly place: string;
  /**
   * `READY`: proxies have keys, and the last attempt worked. `STALE`: it failed, they have the keys
   * from before. `NO_KEYS`: there never were any, so every token is refused.
   */
  readonly state: 'READY' | 'STALE' | 'NO_KEYS';
  readonly keys: number;
  readonly fetchedAt: string | undefined;
  /** Undefined while they are being fetched. */
  readonly nextAt: string | undefined;
  /** Why the last attempt failed. */
  readonly error: string | undefined;
  /** `<kind> <namespace>/<name>` of the objects that name it. */
  readonly usedBy: readonly string[];
}

/** `GET /bulwark/v1alpha1/jwks`. */
export interface JwksView {
  readonly sources: readonly JwksSourceView[];
}

/** A list that a listchecker of Mixer takes from elsewhere. */
export interface ListView {
  readonly source: ListSource;
  /** Undefined while it is not there, so that rules with it deny everything that they cover. */
  readonly entries?: readonly string[] | undefined;
  /** Why the last attempt to fetch it failed. */
  readonly error?: string | undefined;
  /** When it was fetched, in RFC 3339. */
  readonly fetchedAt?: string | undefined;
  /** `<kind> <namespace>/<name>` of the handlers that name it. */
  readonly usedBy: readonly string[];
}

/** `GET /bulwark/v1alpha1/lists`. */
export interface ListsView {
  readonly lists: readonly ListView[];
}
