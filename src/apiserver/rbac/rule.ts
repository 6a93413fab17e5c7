import type { AccessRule } from '#api/kinds/access-rules.ts';
import type { Access, PathAccess, ResourceAccess } from '#apiserver/authorize.ts';

/** A rule of a role, ready to be asked. */
export interface ReadyRule {
  readonly rule: AccessRule;
  readonly verbs: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  /** Empty = objects of any name. */
  readonly names: ReadonlySet<string>;
  readonly paths: readonly string[];
}

const ANY = '*';

/** Rules as they are asked at every request: made once for each role. */
export function readyRules(rules: readonly AccessRule[] | null | undefined): readonly ReadyRule[] {
  return (rules ?? []).map((rule) => ({
    rule,
    verbs: new Set(rule.verbs),
    groups: new Set(rule.apiGroups),
    resources: new Set(rule.resources),
    names: new Set(rule.resourceNames),
    paths: rule.nonResourceURLs ?? [],
  }));
}

/** Whether the rule allows it (kubernetes.io, "Using RBAC Authorization"). */
export function ruleAllows(ready: ReadyRule, access: Access): boolean {
  if (!has(ready.verbs, access.verb ?? '')) return false;
  return access.type === 'path' ? allowsPath(ready, access) : allowsResource(ready, access);
}

/** Whether a set of words means the word. */
function has(words: ReadonlySet<string>, word: string): boolean {
  return words.has(ANY) || words.has(word);
}

function allowsPath({ paths }: ReadyRule, { path }: PathAccess): boolean {
  return paths.some((pattern) => pathIsWithin(path, pattern));
}

function allowsResource(ready: ReadyRule, access: ResourceAccess): boolean {
  const { group, resource, subresource, name } = access;
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  if (!has(ready.groups, group) || !meansResource(ready.resources, whole)) return false;
  return ready.names.size === 0 || ready.names.has(name);
}

/** Whether a list of resources means `pods` or `pods/log`. */
function meansResource(resources: ReadonlySet<string>, resource: string): boolean {
  if (has(resources, resource)) return true;
  const slash = resource.indexOf('/');
  return slash >= 0 && resources.has(`*${resource.slice(slash)}`);
}

/** Whether a path, or all paths that a pattern means, are within another pattern. */
function pathIsWithin(path: string, pattern: string): boolean {
  if (pattern === ANY || pattern === path) return true;
  return pattern.endsWith(ANY) && path.startsWith(pattern.slice(0, -1));
}

/** One thing that a rule allows: with one verb, of one resource (and name) or path. */
export interface SingleRight {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** Undefined = objects of any name. */
  readonly name: string | undefined;
  /** Undefined = about resources. */
  readonly path: string | undefined;
}

/** Everything that a rule allows, one by one. */
export function* rightsOf(rule: AccessRule): Generator<SingleRight> {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  for (const path of nonResourceURLs) {
    for (const verb of verbs) yield { verb, path, group: '', resource: '', name: undefined };
  }
  const names = resourceNames.length === 0 ? [undefined] : resourceNames;
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const name of names) {
        for (const verb of verbs) yield { verb, group, resource, name, path: undefined };
      }
    }
  }
}

/** How many `rightsOf` gives. */
export function countRights(rule: AccessRule): number {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const objects = apiGroups.length * resources.length * Math.max(1, resourceNames.length);
  return verbs.length * (nonResourceURLs.length + objects);
}

/** Whether a rule gives at least the right; `*` is only within `*`. */
export function ruleCovers(ready: ReadyRule, right: SingleRight): boolean {
  const { verb, group, resource, name, path } = right;
  if (!has(ready.verbs, verb)) return false;
  if (path !== undefined) return ready.paths.some((pattern) => pathIsWithin(path, pattern));
  if (!has(ready.groups, group) || !meansResource(ready.resources, resource)) return false;
  return ready.names.size === 0 || (name !== undefined && ready.names.has(name));
}
