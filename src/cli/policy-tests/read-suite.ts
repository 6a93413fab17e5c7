import { dirname, resolve } from 'node:path';
import { checkSchema } from '#api/check-schema.ts';
import { type Diagnostic, hasErrors } from '#api/diagnostic.ts';
import type { LocatedDiagnostic, SourceDocument } from '#api/documents.ts';
import { anyObject, choice, list, map, object, text, type ValueOf } from '#api/schema.ts';
import type { CallSpelling } from '#cli/calls/call-spelling.ts';

/** The kind of the documents that hold tests. They stand beside policies and are no objects. */
export const POLICY_TEST = 'PolicyTest';

const oneOrMore = (description: string) => list(description, text('One.'), { minItems: 1 });

const suiteSchema = object(
  'Calls, and what is to become of them.',
  {
    apiVersion: choice('The version of this form.', ['bulwark.mesh/v1alpha1']),
    kind: choice('PolicyTest.', [POLICY_TEST]),
    policies: oneOrMore('Files and folders with the objects, seen from this file.'),
    namespace: text('Of services that name none.'),
    tests: list(
      'The cases, in order.',
      object(
        'One case: every caller, service, method and path with each other.',
        {
          name: text('What is so, as a sentence.', { minLength: 1 }),
          from: oneOrMore('Callers: NAMESPACE/ACCOUNT, a SPIFFE id, or "outside".'),
          to: oneOrMore('Services: NAMESPACE/SERVICE[:PORT].'),
          through: text('The gateway that they come in through: NAMESPACE/GATEWAY[:PORT].'),
          certificate: text('A name that a certificate is for, which callers show to the gateway.'),
          method: oneOrMore('HTTP methods; GET when left out.'),
          path: oneOrMore('HTTP paths; / when left out.'),
          host: text('The Host header.'),
          ip: text('The address of the caller.'),
          headers: map('HTTP headers.', text('The value.')),
          claims: anyObject('The claims of the token of the end user.'),
          expect: choice('What is to become of it.', ['allow', 'deny']),
          because: text('The name of the policy that is to decide, or the layer.'),
        },
        { required: ['name', 'from', 'to', 'expect'] },
      ),
      { minItems: 1 },
    ),
  },
  { required: ['apiVersion', 'kind', 'tests'] },
);

type Suite = ValueOf<typeof suiteSchema>;
type WrittenCase = Suite['tests'][number];

/** One case as it is written. */
export interface TestCase {
  readonly name: string;
  readonly calls: readonly CallSpelling[];
  readonly expect: 'allow' | 'deny';
  readonly because: string | undefined;
  /** Where it is written; the first line is 1. */
  readonly line: number;
}

/** The tests of one document. */
export interface TestSuite {
  readonly file: string;
  /** Paths of the objects that it is about; the folder of the file when it names none. */
  readonly policies: readonly string[];
  readonly namespace: string | undefined;
  readonly cases: readonly TestCase[];
}

/** A suite, or what is wrong with it. */
export interface SuiteReading {
  readonly suite?: TestSuite;
  readonly diagnostics: readonly LocatedDiagnostic[];
}

/** Fields in which a text stands for a list of one. */
const LISTS = ['from', 'to', 'method', 'path'] as const;

/** Reads one document of the kind PolicyTest. */
export function readSuite(document: SourceDocument): SuiteReading {
  const diagnostics: Diagnostic[] = [];
  const suite = checkSchema(suiteSchema, withLists(document.value), '', {
    unknownFields: 'error',
    full: false,
    report: (diagnostic) => diagnostics.push(diagnostic),
  }) as Suite;
  const located = diagnostics.map((one) => document.locate(one));
  if (hasErrors(diagnostics)) return { diagnostics: located };
  const folder = dirname(document.source);
  const policies = (suite.policies ?? ['.']).map((path) => resolve(folder, path));
  const cases = suite.tests.map((one, index): TestCase => {
    const { name, expect, because } = one;
    const { line } = document.positionOf(`tests[${index}]`);
    return { name, calls: callsOf(one), expect, because, line };
  });
  const { namespace } = suite;
  return { suite: { file: document.source, policies, namespace, cases }, diagnostics: located };
}

function withLists(value: SourceDocument['value']): SourceDocument['value'] {
  const { tests, policies } = value;
  const listed = (one: unknown) => (typeof one === 'string' ? [one] : one);
  return {
    ...value,
    ...(policies === undefined ? {} : { policies: listed(policies) as typeof policies }),
    ...(Array.isArray(tests) && {
      tests: tests.map((one) => {
        if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
        const given = LISTS.filter((name) => Object.hasOwn(one, name));
        return { ...one, ...Object.fromEntries(given.map((name) => [name, listed(one[name])])) };
      }),
    }),
  };
}

function callsOf(one: WrittenCase): readonly CallSpelling[] {
  const { from, to, method = [undefined], path = [undefined], host, ip, headers, claims } = one;
  const { through, certificate } = one;
  const token = claims && { claims };
  return from.flatMap((caller) =>
    to.flatMap((service) =>
      method.flatMap((verb) =>
        path.map((target) => {
          const request = { method: verb, path: target, host, ip, headers, token };
          return { from: caller, to: service, through, certificate, ...request };
        }),
      ),
    ),
  );
}
