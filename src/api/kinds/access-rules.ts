import { invalid, required } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import { list, object, text, type ValueOf } from '#api/schema.ts';

/** The group of roles and bindings. */
export const RBAC_GROUP = 'rbac.authorization.k8s.io';

const words = (description: string) =>
  list(description, text('A word.'), { 'x-kubernetes-list-type': 'atomic' });

const accessRule = object(
  'What may be done with which resources, or with which other paths.',
  {
    verbs: words('What may be done: `get`, `list`, `create`, …; `*` is everything.'),
    apiGroups: words("Groups of the resources; '' is the core group, `*` every group."),
    resources: words(
      'Resources by plural name; `pods/log` is a part of one, `*/status` of all, `*` is everything.',
    ),
    resourceNames: words('Only objects with one of these names; all when empty.'),
    nonResourceURLs: words('Paths that are no resources; `/healthz/*` is all below, `*` is all.'),
  },
  { required: ['verbs'] },
);

/** What may be done with what (rbac.authorization.k8s.io/v1 PolicyRule). */
export type AccessRule = ValueOf<typeof accessRule>;

/** The rules of a role; null = none, as Kubernetes writes it. */
export const accessRules = list('What the role allows; rules only add up.', accessRule, {
  nullable: true,
  'x-kubernetes-list-type': 'atomic',
});

/** Reports what is wrong with the rules of a role. */
export function checkAccessRules(
  rules: readonly AccessRule[],
  { namespaced }: { readonly namespaced: boolean },
  report: Report,
): void {
  for (const [index, rule] of rules.entries()) {
    const {
      verbs,
      apiGroups = [],
      resources = [],
      resourceNames = [],
      nonResourceURLs = [],
    } = rule;
    const field = `rules[${index}]`;
    if (verbs.length === 0) {
      report(required(`${field}.verbs`, 'verbs must contain at least one value'));
    }
    if (nonResourceURLs.length > 0) {
      const paths = `${field}.nonResourceURLs`;
      if (namespaced) {
        const detail = 'namespaced rules cannot apply to non-resource URLs';
        report(invalid(paths, nonResourceURLs, detail));
      }
      if (apiGroups.length + resources.length + resourceNames.length > 0) {
        const detail = 'rules cannot apply to both regular resources and non-resource URLs';
        report(invalid(paths, nonResourceURLs, detail));
      }
      continue;
    }
    if (apiGroups.length === 0) {
      report(required(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
    }
    if (resources.length === 0) {
      report(required(`${field}.resources`, 'resource rules must supply at least one resource'));
    }
  }
}

/** Rules without empty lists, as Kubernetes keeps them. */
export function plainRules(
  rules: readonly AccessRule[] | null | undefined,
): readonly AccessRule[] | null {
  if (!rules || rules.length === 0) return null;
  return rules.map((rule) => {
    const { verbs, ...others } = rule;
    const said = Object.entries(others).filter(([, words]) => words.length > 0);
    return { verbs, ...Object.fromEntries(said) };
  });
}
