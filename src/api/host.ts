const LABEL = /^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;
/** `*`, a label, or a label with a wildcard before it (`*foo`, `*-foo`). */
const FIRST_LABEL = /^(\*|(\*-?|-)?[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)$/;
const NAME_LENGTH_MAX = 255;

/** Whether the text is one label of a DNS name, letter case aside. */
export function isHostLabel(text: string): boolean {
  return LABEL.test(text);
}

function labelsProblem(labels: readonly string[]): string | undefined {
  const top = labels.at(-1) ?? '';
  if (/^[+-]?\d+$/.test(top)) return `top level domain "${top}" cannot be all-numeric`;
  const known = top === '' ? labels.slice(0, -1) : labels;
  const wrong = known.find((label) => !LABEL.test(label));
  return wrong === undefined ? undefined : `label "${wrong}" is no DNS label`;
}

function lengthProblem(name: string): string | undefined {
  if (name === '') return 'must not be empty';
  return name.length > NAME_LENGTH_MAX
    ? `must be no more than ${NAME_LENGTH_MAX} characters`
    : undefined;
}

/**
 * What is wrong with a DNS name without wildcards; a dot at its end is fine. Undefined = nothing.
 */
export function hostProblem(name: string): string | undefined {
  return lengthProblem(name) ?? labelsProblem(name.split('.'));
}

/**
 * As `hostProblem` for a name whose first label may be or begin with a wildcard: `*`,
 * `*.example.com`.
 */
export function wildcardHostProblem(name: string): string | undefined {
  const tooLong = lengthProblem(name);
  if (tooLong !== undefined) return tooLong;
  const [first = '', ...others] = name.split('.');
  if (!FIRST_LABEL.test(first)) return `label "${first}" is no DNS label or wildcard`;
  return others.length === 0 ? undefined : labelsProblem(others);
}
