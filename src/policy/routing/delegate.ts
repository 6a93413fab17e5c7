import type { VirtualService } from '#api/kinds/virtual-service.ts';
import type { HttpMatch, StringMatch } from '#api/kinds/virtual-service-match.ts';
import type { HttpRoute } from '#api/kinds/virtual-service-route.ts';

/**
 * The routes of an object that another one's route delegates to, under the conditions of both. What
 * the object's routes leave open, the delegating route says; a route whose conditions contradict
 * those of the delegating one is left out (Istio, "Delegate"). `index`: its place in the object.
 */
export function delegatedRoutes(
  root: HttpRoute,
  target: VirtualService,
): readonly { readonly route: HttpRoute; readonly index: number }[] {
  const { match: roots = [], delegate: _, ...said } = root;
  return (target.spec?.http ?? []).flatMap((route, index) => {
    const { match: leaves = [] } = route;
    const match = bothOf(roots, leaves);
    if (match.length === 0 && roots.length + leaves.length > 0) return [];
    return [{ route: { ...said, ...route, ...(match.length > 0 && { match }) }, index }];
  });
}

/** Every pair of conditions that can hold together; no conditions = always. */
function bothOf(roots: readonly HttpMatch[], leaves: readonly HttpMatch[]): readonly HttpMatch[] {
  if (roots.length === 0) return leaves;
  if (leaves.length === 0) return roots;
  return roots.flatMap((root) => leaves.flatMap((leaf) => merged(root, leaf) ?? []));
}

function merged(root: HttpMatch, leaf: HttpMatch): HttpMatch | undefined {
  for (const name of ['uri', 'scheme', 'method', 'authority'] as const) {
    if (!narrows(root[name], leaf[name])) return undefined;
  }
  for (const name of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    const leaves = leaf[name] ?? {};
    for (const [key, value] of Object.entries(root[name] ?? {}))
      if (Object.hasOwn(leaves, key) && !narrows(value, leaves[key])) return undefined;
  }
  for (const name of ['port', 'sourceNamespace'] as const) {
    if (root[name] && leaf[name] && root[name] !== leaf[name]) return undefined;
  }
  const labels = leaf.sourceLabels ?? {};
  for (const [key, value] of Object.entries(root.sourceLabels ?? {}))
    if (Object.hasOwn(labels, key) && labels[key] !== value) return undefined;
  return {
    ...root,
    ...leaf,
    ...(root.gateways && { gateways: root.gateways }),
    ...mergedMaps(root, leaf),
  };
}

function mergedMaps(root: HttpMatch, leaf: HttpMatch): HttpMatch {
  const names = ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const;
  const given = names.filter((name) => root[name] && leaf[name]);
  return Object.fromEntries(given.map((name) => [name, { ...root[name], ...leaf[name] }]));
}

/** Whether whatever the leaf matches is sure to be matched by the root. */
function narrows(root: StringMatch | undefined, leaf: StringMatch | undefined): boolean {
  if (!root || !leaf) return true;
  if (root.regex !== undefined || leaf.regex !== undefined) return root.regex === leaf.regex;
  if (root.exact !== undefined) return root.exact === leaf.exact;
  return (leaf.exact ?? leaf.prefix ?? '').startsWith(root.prefix ?? '');
}
