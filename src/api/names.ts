import type { NameRule } from '#api/kind.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

const labelPattern = new RegExp(`^${LABEL}$`);
const subdomainPattern = new RegExp(`^${SUBDOMAIN}$`);
const qualifiedPattern = new RegExp(`^${QUALIFIED}$`);
const labelValuePattern = new RegExp(`^(${QUALIFIED})?$`);
const configKeyPattern = /^[-._a-zA-Z0-9]+$/;

const LABEL_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;

// The sentences below are those of a Kubernetes API server: people search for them, and tools
// compare them.

/** What is wrong with a DNS label (RFC 1123): lower case, at most 63 characters. */
export function labelProblems(name: string): string[] {
  const problems: string[] = [];
  if (name.length > LABEL_LENGTH_MAX) {
    problems.push(`must be no more than ${LABEL_LENGTH_MAX} bytes`);
  }
  if (!labelPattern.test(name)) {
    problems.push(
      name.includes('.')
        ? 'must not contain dots'
        : "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
            "and must start and end with an alphanumeric character (e.g. 'my-name',  or " +
            `'123-abc', regex used for validation is '${LABEL}')`,
    );
  }
  return problems;
}

/**
 * What is wrong with a DNS subdomain (RFC 1123): labels with dots between, at most 253 characters.
 */
export function subdomainProblems(name: string): string[] {
  const problems: string[] = [];
  if (name.length > SUBDOMAIN_LENGTH_MAX) {
    problems.push(`must be no more than ${SUBDOMAIN_LENGTH_MAX} characters`);
  }
  if (!subdomainPattern.test(name)) {
    problems.push(
      'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, ' +
        "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', " +
        `regex used for validation is '${SUBDOMAIN}')`,
    );
  }
  return problems;
}

/** What is wrong with the name of an object. */
export function objectNameProblems(name: string, rule: NameRule): string[] {
  if (rule === 'segment') return segmentProblems(name);
  return rule === 'label' ? labelProblems(name) : subdomainProblems(name);
}

/** What is wrong with a name that only has to fit into a path: roles have colons in theirs. */
export function segmentProblems(name: string): string[] {
  if (name === '.' || name === '..') return [`may not be '${name}'`];
  return ['/', '%']
    .filter((mark) => name.includes(mark))
    .map((mark) => `may not contain '${mark}'`);
}

/**
 * What is wrong with a qualified name: `name` or `example.com/name`. Keys of labels and
 * annotations, finalizers and application protocols have this form.
 */
export function qualifiedNameProblems(name: string): string[] {
  const parts = name.split('/');
  const last = parts.at(-1) ?? '';
  const form =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " +
    `validation is '${QUALIFIED}')`;
  if (parts.length > 2) {
    return [
      `a valid label key ${form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...subdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  }
  if (last === '') problems.push('name part must be non-empty');
  else if (last.length > LABEL_LENGTH_MAX) {
    problems.push(`name part must be no more than ${LABEL_LENGTH_MAX} bytes`);
  }
  if (!qualifiedPattern.test(last)) problems.push(`name part ${form}`);
  return problems;
}

/** What is wrong with the value of a label. */
export function labelValueProblems(value: string): string[] {
  const problems: string[] = [];
  if (Buffer.byteLength(value) > LABEL_LENGTH_MAX) {
    problems.push(`must be no more than ${LABEL_LENGTH_MAX} bytes`);
  }
  if (!labelValuePattern.test(value)) {
    problems.push(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " +
        "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or " +
        `'my_value',  or '12345', regex used for validation is '(${QUALIFIED})?')`,
    );
  }
  return problems;
}

/**
 * What is wrong with a key of a ConfigMap or Secret, which becomes a file name when it is mounted.
 */
export function configKeyProblems(key: string): string[] {
  if (key.length > SUBDOMAIN_LENGTH_MAX) {
    return [`must be no more than ${SUBDOMAIN_LENGTH_MAX} characters`];
  }
  if (!configKeyPattern.test(key)) {
    return [
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. " +
        "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is " +
        `'[-._a-zA-Z0-9]+')`,
    ];
  }
  if (key === '.') return ["must not be '.'"];
  if (key === '..') return ["must not be '..'"];
  return key.startsWith('..') ? ["must not start with '..'"] : [];
}
