import type { Clause } from '#policy/authz/compiled-policy.ts';
import type { Condition } from '#policy/authz/condition.ts';
import { excludedWords, valueWords } from '#policy/decide/condition-text.ts';

/** What stands before the values of an attribute; methods and paths speak for themselves. */
const LABELS: Readonly<Record<Condition['on'], string>> = {
  principal: 'user ',
  namespace: 'from namespace ',
  serviceAccount: 'from account ',
  trustDomain: 'from trust domain ',
  sourceIp: 'from ',
  remoteIp: 'from client ',
  requestPrincipal: 'user ',
  claim: 'claim ',
  header: 'header ',
  host: 'host ',
  method: '',
  path: '',
  port: 'port ',
  destinationIp: 'at ',
  serverName: 'server name ',
  metadata: 'metadata ',
  computed: '',
};

/** Methods first, as in a request line. */
const FIRST: readonly Condition['on'][] = ['method', 'path'];

/** A clause without the conditions that are known, in a few words: `GET,POST /photos*`. */
export function clauseWords(
  clause: Clause<Condition>,
  isShown: (condition: Condition) => boolean,
): string {
  return clause
    .filter(isShown)
    .toSorted((a, b) => placeOf(a) - placeOf(b))
    .map(conditionWords)
    .join(' ');
}

function placeOf({ on }: Condition): number {
  const place = FIRST.indexOf(on);
  return place < 0 ? FIRST.length : place;
}

function conditionWords(condition: Condition): string {
  const label = `${LABELS[condition.on]}${nameOf(condition)}`;
  const values = valueWords(condition);
  const excluded = excludedWords(condition);
  return [
    ...(values.length === 0 ? [] : [`${label}${values.join(',')}`]),
    ...(excluded.length === 0 ? [] : [`not ${label}${excluded.join(',')}`]),
  ].join(' ');
}

function nameOf(condition: Condition): string {
  if (condition.on === 'header') return `${condition.name}=`;
  if (condition.on === 'computed') return `${condition.expression}=`;
  if (condition.on === 'claim') return `${condition.path.join('.')}=`;
  return condition.on === 'metadata' ? `${condition.filter}.${condition.key}=` : '';
}
