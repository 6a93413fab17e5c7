/** Attributes with a name in brackets that constraints and properties have in common. */
const HEADER = /^request\.headers\[:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+\]$/;
const METADATA = /^experimental\.envoy\.filters\.[^[\]]+\[.+\]$/;
const LABEL = /^destination\.labels\[[^[\]]+\]$/;
const CLAIM = /^request\.auth\.claims(\[[^[\]]+\])+$/;

const CONSTRAINTS: ReadonlySet<string> = new Set([
  'destination.ip',
  'destination.port',
  'destination.name',
  'destination.namespace',
  'destination.user',
]);

const PROPERTIES: ReadonlySet<string> = new Set([
  'source.ip',
  'source.namespace',
  'source.principal',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
]);

function problem(
  key: string,
  plain: ReadonlySet<string>,
  bracketed: readonly RegExp[],
): string | undefined {
  if (plain.has(key) || bracketed.some((form) => form.test(key))) return undefined;
  return `"${key}" is no attribute that can be tested here: it never holds`;
}

/** What is wrong with the key of a constraint (Istio, "Constraints and Properties"). */
export function constraintKeyProblem(key: string): string | undefined {
  return problem(key, CONSTRAINTS, [HEADER, METADATA, LABEL]);
}

/** What is wrong with the key of a property (Istio, "Constraints and Properties"). */
export function propertyKeyProblem(key: string): string | undefined {
  return problem(key, PROPERTIES, [HEADER, METADATA, CLAIM]);
}
