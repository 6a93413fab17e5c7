import type { ServiceAccountMatch } from '#policy/authz/condition.ts';
import type { PathTemplate } from '#policy/authz/path-template.ts';
import type { TextMatch } from '#policy/authz/text-match.ts';

// Regular expressions over a whole text, in what RE2 (Envoy) and JavaScript (the evaluator) both
// read alike. The forms that are not anchored are Istio's, letter for letter.

/** `text` as an expression that matches just it, with the escapes of Go's QuoteMeta. */
export function escapePattern(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** A peer of a namespace. Not anchored, `/ns/x/` may stand anywhere in its id. */
export function namespacePattern(match: TextMatch, anchored: boolean): string {
  if (!anchored) return `.*/ns/${within(match, '.*', '.*')}/.*`;
  return `spiffe://[^/]+/ns/${within(match, '[^/]*', '[^/]+')}/sa/[^/]+`;
}

/**
 * A peer of a service account. Not anchored, its id may have more segments before, between and
 * after.
 */
export function serviceAccountPattern(match: ServiceAccountMatch, anchored: boolean): string {
  const namespace = escapePattern(match.namespace);
  const name = escapePattern(match.name);
  if (!anchored) return `spiffe://.+/ns/${namespace}/(.+/|)sa/${name}(/.+)?`;
  return `spiffe://[^/]+/ns/${namespace}/sa/${name}`;
}

/** A peer of a trust domain. */
export function trustDomainPattern(match: TextMatch): string {
  return `spiffe://${within(match, '[^/]*', '[^/]+')}/.*`;
}

/**
 * A host whatever its letter case, with or without a trailing dot and, unless the policy names one,
 * a port, which may be empty (RFC 3986 section 3.2.3).
 */
export function hostPattern(match: TextMatch): string {
  if (match.match === 'present') return '.+';
  if (match.match === 'pattern') return `(?:${match.value})`;
  const [, name = '', port] = /^(.*?)\.?(?::(\d+))?$/s.exec(match.value) ?? [];
  if (match.match === 'prefix') return `(?i:${escapePattern(match.value)}.*)`;
  const text = match.match === 'exact' ? escapePattern(name) : `.*${escapePattern(name)}`;
  return `(?i:${text})\\.?${port === undefined ? '(:[0-9]*)?' : `:${port}`}`;
}

/** What Envoy's template operators match: the `pchar` of RFC 3986 section 3.3. */
const TEMPLATE_CHARACTERS = "A-Za-z0-9\\-._~%!$&'()*+,;:@=";

/** A path of a template. */
export function templatePattern(template: PathTemplate): string {
  const one = template.anyCharacter ? '[^/]+' : `[${TEMPLATE_CHARACTERS}]+`;
  const any = template.anyCharacter ? '.*' : `[${TEMPLATE_CHARACTERS}/]*`;
  const pattern = (segment: string) =>
    segment === '*' ? one : segment === '**' ? any : escapePattern(segment);
  return template.text.split('/').map(pattern).join('/');
}

function within(match: TextMatch, some: string, present: string): string {
  switch (match.match) {
    case 'exact':
      return escapePattern(match.value);
    case 'prefix':
      return `${escapePattern(match.value)}${some}`;
    case 'suffix':
      return `${some}${escapePattern(match.value)}`;
    case 'pattern':
      return `(?:${match.value})`;
    case 'present':
      return present;
  }
}
