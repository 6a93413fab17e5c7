/**
 * What is recorded of calls and of changes, as JSON: one line in a file, one entry of an answer.
 * Texts that callers choose are bounded, and written without characters that mean something to a
 * terminal.
 */

/** The workload that was called. */
export interface RecordedWorkload {
  readonly namespace: string;
  /** As it calls itself. */
  readonly name: string;
  /** As its proxy proved it. */
  readonly identity: string;
}

/** An end user, by the token of a request. */
export interface RecordedUser {
  readonly issuer: string;
  readonly subject: string;
}

/** Why a call was denied. */
export type DenialCause =
  /** A rule of a DENY policy matches. */
  | 'rule'
  /** No ALLOW policy does. */
  | 'no-allow'
  /** The provider of a CUSTOM policy said no, or could not be asked. */
  | 'provider'
  /** The token of the end user. */
  | 'token'
  /** Its certificate or identity is revoked. */
  | 'revoked'
  /** Its certificate has an identity and another name. */
  | 'names';

/** A request, or a connection that is not HTTP, that was denied or that an AUDIT policy matches. */
export interface AccessRecord {
  readonly type: 'access';
  /** Grows with each record: microseconds since 1970, by the clock of the server. */
  readonly id: number;
  /** RFC 3339, by the clock of the proxy. */
  readonly at: string;
  readonly decision: 'denied' | 'allowed';
  readonly protocol: 'http' | 'tcp';
  readonly workload: RecordedWorkload;
  /** The port of the workload. */
  readonly port?: number | undefined;
  /** The SPIFFE id that the caller proved; none for who sends plaintext. */
  readonly caller?: string | undefined;
  readonly callerAddress?: string | undefined;
  /** Of the token that was verified. */
  readonly endUser?: RecordedUser | undefined;
  readonly method?: string | undefined;
  readonly host?: string | undefined;
  /** Without query. */
  readonly path?: string | undefined;
  readonly status?: number | undefined;
  readonly cause?: DenialCause | undefined;
  /** `namespace/name` of the policy that decided, or the name of a CertificateRevocation. */
  readonly policy?: string | undefined;
  /** Number of its rule, from 0 on. */
  readonly rule?: number | undefined;
  /** `namespace/name` of the AUDIT policy that matches; of several the first by name. */
  readonly auditedBy?: string | undefined;
  readonly auditRule?: number | undefined;
  /** In Envoy's words. */
  readonly detail?: string | undefined;
  /** W3C Trace Context. */
  readonly traceId?: string | undefined;
  readonly requestId?: string | undefined;
}

/** One field that a change made different. JSON texts; absent = the field was or is not there. */
export interface FieldChange {
  /** `spec.rules[0].to`; '' for the whole object. */
  readonly field: string;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

/**
 * A change by a user of the API: of an object, or what is as grave as one. Of the kind
 * TokenRequest: somebody asked for a token of an account; UserCertificate: somebody made a
 * certificate for a person; RootRotation: a step to another root.
 */
export interface ChangeRecord {
  readonly type: 'change';
  readonly id: number;
  /** RFC 3339, by the clock of the server. */
  readonly at: string;
  readonly user: string;
  readonly groups: readonly string[];
  /** Who it really was, when somebody acted as this user. */
  readonly actor?: string;
  readonly verb: 'create' | 'update' | 'delete';
  readonly apiVersion: string;
  readonly kind: string;
  /** '' for a cluster-scoped one. */
  readonly namespace: string;
  readonly name: string;
  readonly fields: readonly FieldChange[];
  /** Fields that differ beside these. */
  readonly fieldsLeftOut: number;
}

/** That something is missing from the records. */
export interface GapRecord {
  readonly type: 'gap';
  readonly id: number;
  readonly at: string;
  /** Records that are missing. */
  readonly missing: number;
  readonly why: string;
}

/** A line of the files of records. */
export type AuditRecord = AccessRecord | ChangeRecord | GapRecord;

/** `GET /bulwark/v1alpha1/audit`; the query is that of `AuditQuery`. */
export interface AuditView {
  /** Whether the server keeps records in files. */
  readonly isKept: boolean;
  /** The oldest first; of many the latest. */
  readonly records: readonly AuditRecord[];
  /** Whether older ones match that are not in the answer. */
  readonly isCut: boolean;
  /** To ask for what comes after. */
  readonly next: number;
}

/** Calls of one kind. */
export interface TrafficRow {
  /** The hour in which they were seen last: its begin, RFC 3339. */
  readonly hour: string;
  readonly workload: RecordedWorkload;
  readonly protocol: 'http' | 'tcp';
  readonly port?: number | undefined;
  readonly caller?: string | undefined;
  /** An address that some of them came from. */
  readonly callerAddress?: string | undefined;
  readonly endUser?: RecordedUser | undefined;
  readonly method?: string | undefined;
  readonly host?: string | undefined;
  /** The path with `*` for parts that look like numbers or keys. */
  readonly pattern?: string | undefined;
  /** One of those paths. */
  readonly path?: string | undefined;
  /** How many were seen; of each `percent` of a hundred calls one is. */
  readonly seen: number;
  readonly percent: number;
}

/** `GET /bulwark/v1alpha1/traffic`. */
export interface TrafficView {
  /** Of so many of a hundred calls; 0 = none is recorded now. */
  readonly percent: number;
  readonly isKept: boolean;
  readonly rows: readonly TrafficRow[];
  /** Since when there are rows; RFC 3339. */
  readonly since: string | undefined;
  /** Calls that were seen and are in no row: there were more kinds than are told apart. */
  readonly notToldApart: number;
}
