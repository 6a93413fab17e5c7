import { ageColumn, fieldColumn } from '#api/columns.ts';
import { forbidden, invalid, required } from '#api/field-error.ts';
import { defineKind, type KindDefinition, type Report } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import { choice, object, text, type ValueOf } from '#api/schema.ts';
import { LIMITS } from '#base/limits.ts';
import { parseSpiffeId, parseWorkloadId } from '#spiffe/spiffe-id.ts';

/** Why a certificate is revoked, by the names of RFC 5280 section 5.3.1. */
export const REVOCATION_REASONS = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const;

const spec = object('What is revoked: exactly one of serial and identity.', {
  serial: text(
    'The serial number of a certificate, hexadecimal. That certificate is refused from now on; ' +
      'its workload may get another one.',
    { maxLength: 40, pattern: '^[0-9a-fA-F]+$' },
  ),
  identity: text(
    'A SPIFFE id. All its certificates are refused and it gets no new ones, for as long as this ' +
      'object exists.',
    { maxLength: 2048 },
  ),
  issuedTo: text(
    'For a serial: whom the certificate was issued to, a SPIFFE id. Its callers then also open ' +
      'their connections to it anew.',
    { maxLength: 2048 },
  ),
  reason: choice('Why, by the names of RFC 5280 section 5.3.1.', REVOCATION_REASONS, {
    default: 'unspecified',
  }),
  notAfter: text(
    'When this object is over and is removed by itself, RFC 3339. For a serial: when the ' +
      'certificate expires; left out, the longest time that it can still live.',
    { format: 'date-time' },
  ),
});

/** One of the reasons. */
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

/** The spec of a CertificateRevocation. */
export type CertificateRevocationSpec = ValueOf<typeof spec>;

/** What may no longer be used: one certificate, or everything of one identity. */
export interface CertificateRevocation extends ApiObject {
  readonly spec: CertificateRevocationSpec;
}

/** CertificateRevocation (`bulwark.mesh/v1alpha1`), cluster-scoped; deleting it un-revokes. */
export const certificateRevocation: KindDefinition<CertificateRevocation> =
  defineKind<CertificateRevocation>({
    group: 'bulwark.mesh',
    versions: ['v1alpha1'],
    kind: 'CertificateRevocation',
    plural: 'certificaterevocations',
    shortNames: ['crev'],
    categories: ['bulwark'],
    namespaced: false,
    statusSubresource: false,
    nameRule: 'subdomain',
    countMax: LIMITS.revocationsMax,
    description:
      'Takes a certificate, or an identity, out of use at once: for new connections, open ones ' +
      'and renewal. Deleting the object brings it back.',
    fields: { spec },
    requiredFields: ['spec'],
    columns: [
      fieldColumn('Serial', '.spec.serial', 'The revoked certificate.'),
      fieldColumn('Identity', '.spec.identity', 'The revoked identity.'),
      fieldColumn('Reason', '.spec.reason', 'Why it is revoked.'),
      ageColumn,
    ],
    check: ({ spec: said }, report) => checkSpec(said, report),
    checkChange(before, after, report) {
      for (const field of ['serial', 'identity'] as const) {
        if (before.spec[field] === after.spec[field]) continue;
        const remedy = 'make another CertificateRevocation';
        report(forbidden(`spec.${field}`, 'what is revoked cannot be changed', remedy));
      }
    },
    defaults: (said) => ({
      ...said,
      spec: { ...said.spec, reason: said.spec.reason ?? 'unspecified' },
    }),
  });

function checkSpec(
  { serial, identity, issuedTo }: CertificateRevocationSpec,
  report: Report,
): void {
  if (serial === undefined && identity === undefined)
    report(required('spec', 'one of serial and identity'));
  if (serial !== undefined && identity !== undefined)
    report(forbidden('spec.identity', 'only one of serial and identity'));
  if (serial !== undefined && /^0*$/.test(serial))
    report(invalid('spec.serial', serial, 'no certificate has the serial number 0'));
  if (issuedTo !== undefined && serial === undefined)
    report(forbidden('spec.issuedTo', 'only beside a serial'));
  for (const [field, id] of Object.entries({ identity, issuedTo })) {
    if (id === undefined || isWorkload(id)) continue;
    const form = 'spiffe://<trust domain>/ns/<namespace>/sa/<service account>';
    report(invalid(`spec.${field}`, id, `must be ${form}`));
  }
}

function isWorkload(identity: string): boolean {
  try {
    return parseWorkloadId(parseSpiffeId(identity)) !== undefined;
  } catch {
    return false;
  }
}
