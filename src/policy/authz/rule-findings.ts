import { warning } from '#api/field-error.ts';
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ApiObject } from '#api/object.ts';
import type { PathNormalization } from '#model/mesh-settings.ts';
import type { MeshSnapshot } from '#model/snapshot.ts';
import type { CompiledPolicy, CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { Condition, SourceCondition } from '#policy/authz/condition.ts';
import { coveredRules } from '#policy/authz/covered-rules.ts';
import { excludeEachOther, isContradictory } from '#policy/authz/covers.ts';
import { KnownCallers } from '#policy/authz/known-callers.ts';
import { portsHandled, workloadsOf } from '#policy/authz/policy-workloads.ts';
import { canonicalPath } from '#policy/authz/request-path.ts';
import type { Authorizer } from '#policy/authz/selection.ts';
import type { Report } from '#policy/findings.ts';

/**
 * Tells of rules that do not do what they seem to: that can never match, that name callers or ports
 * that are not there, or that mean something else on ports without HTTP.
 */
export function ruleFindings(mesh: MeshSnapshot, authorizer: Authorizer, report: Report): void {
  const callers = new KnownCallers(mesh);
  for (const policy of mesh.authorizationPolicies.all()) {
    const compiled = authorizer.compile(policy);
    for (const rule of compiled.http) checkContradictions(policy, rule, report);
    for (const { index, by } of coveredRules(compiled)) {
      const what = `rule ${index} changes nothing: rule ${by} matches all that it matches`;
      report(policy, warning(`spec.rules[${index}]`, what));
    }
    checkCallers(policy, compiled, callers, report);
    checkPaths(policy, compiled, mesh.settings.pathNormalization, report);
    checkPorts(policy, withoutOpen(compiled, mesh, authorizer), mesh, report);
  }
}

/** A provider that is asked over HTTP is not asked about plain connections at all. */
function withoutOpen(
  policy: CompiledPolicy,
  mesh: MeshSnapshot,
  authorizer: Authorizer,
): CompiledPolicy {
  if (policy.provider === undefined) return policy;
  const { provider } = authorizer.providerState(policy.provider, policy.namespace, mesh);
  return provider?.check.over === 'grpc' ? policy : { ...policy, tcpDiagnostics: [] };
}

/** Of several `from`, or `to`, each is told alone; when none can hold, neither can the rule. */
function checkContradictions(policy: ApiObject, rule: CompiledRule, report: Report): void {
  for (const half of [rule.sources, rule.operations]) {
    const found = half.map((clause) => contradictionIn(clause));
    const isWhole = found.length > 0 && found.every((one) => one !== undefined);
    const what = isWhole ? `rule ${rule.index} can never match` : 'this part can never match';
    const told = new Map(found.flatMap((one) => (one ? [[one.field, one.why] as const] : [])));
    for (const [field, why] of told) report(policy, warning(field, `${what}: ${why}`));
  }
}

function contradictionIn(
  clause: readonly Condition[],
): { readonly field: string; readonly why: string } | undefined {
  for (const [index, condition] of clause.entries()) {
    const { field, notField } = condition;
    if (isContradictory(condition))
      return { field, why: `${lastOf(notField)} excludes all that ${lastOf(field)} asks for` };
    const other = clause.slice(index + 1).find((one) => excludeEachOther(condition, one));
    if (other) return { field, why: `${other.field} asks for something else` };
  }
  return undefined;
}

function checkCallers(
  policy: AuthorizationPolicy,
  { http, namespace }: CompiledPolicy,
  callers: KnownCallers,
  report: Report,
): void {
  const told = new Set<string>();
  for (const condition of http.flatMap(({ sources }) => sources.flat())) {
    for (const problem of problemsOf(condition, namespace, callers)) {
      const text = `${condition.field} ${problem}`;
      if (!told.has(text)) report(policy, warning(condition.field, problem));
      told.add(text);
    }
  }
}

/** What is wrong with the callers that a condition names; `own`: the namespace of its policy. */
function problemsOf(
  condition: SourceCondition,
  own: string,
  callers: KnownCallers,
): readonly string[] {
  if (condition.on === 'serviceAccount')
    return condition.values.flatMap((account) => callers.accountProblem(account) ?? []);
  if (condition.on !== 'principal' && condition.on !== 'namespace') return [];
  const isPrincipal = condition.on === 'principal';
  return condition.values.flatMap((match) => {
    if (match.match !== 'exact') return [];
    const { value } = match;
    const problem = isPrincipal
      ? callers.principalProblem(value)
      : callers.namespaceProblem(value, own);
    return problem ?? [];
  });
}

/** Paths are compared as the mesh normalizes them: other spellings are never seen. */
function checkPaths(
  policy: AuthorizationPolicy,
  { http }: CompiledPolicy,
  paths: PathNormalization,
  report: Report,
): void {
  const conditions = http.flatMap(({ operations }) => operations.flat());
  for (const { field, notField, values, notValues } of conditions.filter(isAboutPath)) {
    for (const [at, matches] of [[field, values] as const, [notField, notValues] as const]) {
      for (const match of matches) {
        const problem = match.match === 'exact' ? spellingProblem(match.value, paths) : undefined;
        if (problem) report(policy, warning(at, problem.message, problem.remedy));
      }
    }
  }
}

function isAboutPath(condition: Condition): condition is Condition & { readonly on: 'path' } {
  return condition.on === 'path';
}

function spellingProblem(path: string, paths: PathNormalization) {
  // Of these is told when the policy is written.
  if (!path.startsWith('/') || /[?#]/.test(path)) return undefined;
  const seen = canonicalPath(path, paths);
  if (seen === path) return undefined;
  const shown = JSON.stringify(path);
  if (seen === undefined)
    return { message: `${shown} matches nothing: such requests are refused (400)` };
  const message = `${shown} matches nothing: the mesh normalizes such paths (${paths})`;
  return { message, remedy: `write ${JSON.stringify(seen)}` };
}

function checkPorts(
  policy: AuthorizationPolicy,
  compiled: CompiledPolicy,
  mesh: MeshSnapshot,
  report: Report,
): void {
  const named = compiled.http.flatMap(({ operations }) =>
    operations.flat().filter((condition) => condition.on === 'port'),
  );
  if (named.length === 0 && compiled.tcpDiagnostics.length === 0) return;
  const workloads = workloadsOf(policy, mesh);
  const portsOf = (how: Parameters<typeof portsHandled>[2]): ReadonlySet<number> =>
    new Set(workloads.flatMap((workload) => portsHandled(workload, mesh, how)));
  const all = portsOf(() => true);
  if (all.size > 0) {
    for (const { field, values } of named) {
      for (const port of values.filter((value) => !all.has(value)))
        report(policy, warning(field, unknownPort(port, all), 'name the port of the workload'));
    }
  }
  const plain = portsOf(({ handling }) => handling === 'tcp');
  for (const diagnostic of compiled.tcpDiagnostics) {
    const rule = compiled.http.find(({ index }) => diagnostic.field === `spec.rules[${index}]`);
    if (plain.size > 0 && (!rule || isForSome(rule, plain))) report(policy, diagnostic);
  }
}

function unknownPort(port: number, known: ReadonlySet<number>): string {
  const some = [...known].sort((a, b) => a - b).slice(0, 10);
  return `no service leads to port ${port} of a selected workload, but to ${some.join(', ')}`;
}

/** Whether a rule is for one of the ports, by what it says of ports. */
function isForSome({ operations }: CompiledRule, ports: ReadonlySet<number>): boolean {
  return operations.some((clause) =>
    clause.every(
      (condition) =>
        condition.on !== 'port' ||
        condition.values.length === 0 ||
        condition.values.some((port) => ports.has(port)),
    ),
  );
}

function lastOf(field: string): string {
  return field.split('.').at(-1) ?? field;
}
