import { invalid } from '#api/field-error.ts';
import { hostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { integer, list, object, text } from '#api/schema.ts';

/** Reports a hostname that is neither a DNS name nor `*.` and one. */
export function checkHostname(hostname: string, field: string, report: Report): void {
  const name = hostname.startsWith('*.') ? hostname.slice(2) : hostname;
  const problem = name === name.toLowerCase() ? hostProblem(name) : 'must be in lower case';
  if (problem !== undefined) report(invalid(field, hostname, problem));
}

/** Bounds of a port number. */
export const PORT = { minimum: 1, maximum: 65_535, format: 'int32' } as const;

const reference = {
  group: text('Group of the object; the core group when it is empty.'),
  kind: text('Kind of the object.'),
  namespace: text('Must be its own namespace: nothing is let into another one.'),
} as const;

/** A Secret that a listener shows. */
export const secretReference = object(
  'A Secret with a certificate and its key.',
  { ...reference, name: text('Its name.', { minLength: 1, maxLength: 253 }) },
  { required: ['name'] },
);

/** What a listener verifies its callers with. */
export const frontendValidation = object('How callers are verified.', {
  caCertificateRefs: list(
    'A ConfigMap with the authorities that callers’ certificates are of, under `ca.crt`.',
    secretReference,
    { minItems: 1, maxItems: 8 },
  ),
  mode: text('`AllowValidOnly` when left out; nothing else is served.'),
});

/** The gateway that a route belongs to. */
export const parentReference = object(
  'A Gateway, or a listener of it.',
  {
    ...reference,
    name: text('Its name.', { minLength: 1, maxLength: 253 }),
    sectionName: text('One listener, by its name.'),
    port: integer('Listeners of one port.', PORT),
  },
  { required: ['name'] },
);

/** What the control plane says about an object of the Gateway API. */
export const gatewayApiConditions = list(
  'Findings, one of each type.',
  object('One finding.', {
    type: text('What it is about.'),
    status: text('`True`, `False` or `Unknown`.'),
    reason: text('Why, in one word.'),
    message: text('Why, in a sentence.'),
    lastTransitionTime: text('When `status` last changed.', { format: 'date-time' }),
    observedGeneration: integer('The generation of the object that this is about.'),
  }),
);
