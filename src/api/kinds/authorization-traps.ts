/** What a value cannot match, and what its author may have meant. */
export interface Trap {
  readonly message: string;
  readonly remedy: string | undefined;
}

type FindTrap = (value: string) => Trap | undefined;

const path: FindTrap = (value) => {
  if (!/^[/*]/.test(value))
    return trap('a path begins with "/": this matches none', meant(`/${value}`));
  if (/[?#]/.test(value))
    return trap('paths have no query and no fragment: this matches none', bare(value, /[?#].*$/s));
  return undefined;
};

const method: FindTrap = (value) =>
  /[a-z]/.test(value)
    ? trap('methods are in capitals: this matches none', meant(value.toUpperCase()))
    : undefined;

const host: FindTrap = (value) =>
  /[/@]/.test(value)
    ? trap(
        'a host is a name, with or without a port: this matches none',
        bare(value, /^\w+:\/\/|\/.*$/g),
      )
    : undefined;

const serverName: FindTrap = (value) =>
  /[A-Z]/.test(value)
    ? trap(
        'server names are compared in small letters: this matches none',
        meant(value.toLowerCase()),
      )
    : undefined;

const PRINCIPAL = '<trust domain>/ns/<namespace>/sa/<account>';

const principal: FindTrap = (value) => {
  if (/^\*|\*$/.test(value)) return undefined;
  const isShort = /^ns\/[^/]+\/sa\/[^/]+$/.test(value);
  const isWhole = /^(spiffe:\/\/)?[^/]+(\/[^/]+)+$/.test(value) && !isShort;
  if (isWhole) return undefined;
  const remedy = isShort ? meant(`*/${value}`) : `write ${PRINCIPAL}`;
  return trap('a principal has a trust domain and a path: this matches nobody', remedy);
};

const requestPrincipal: FindTrap = (value) =>
  /^(?:https?:\/\/)?[^/*]+\/?$/.test(value)
    ? trap(
        'an end user is <issuer>/<subject>: this matches nobody',
        meant(`${value.replace(/\/$/, '')}/*`),
      )
    : undefined;

const namespace: FindTrap = (value) =>
  value.includes('/')
    ? trap('a namespace is a name, not a path: this matches nobody', undefined)
    : undefined;

const TRAPS: Readonly<Record<string, FindTrap>> = {
  paths: path,
  methods: method,
  hosts: host,
  principals: principal,
  requestPrincipals: requestPrincipal,
  namespaces: namespace,
  'connection.sni': serverName,
  'source.principal': principal,
  'request.auth.principal': requestPrincipal,
  'source.namespace': namespace,
};

/**
 * What a value of a policy cannot match, where no request can have it.
 * @param about a field (`paths`, `notPaths`), or a key of `when`
 */
export function valueTrap(about: string, value: string): Trap | undefined {
  if (value !== value.trim())
    return trap('the spaces around it are compared, too', meant(value.trim()));
  const field = about.replace(/^not([A-Z])/, (_, letter: string) => letter.toLowerCase());
  return Object.hasOwn(TRAPS, field) ? TRAPS[field]?.(value) : undefined;
}

function trap(message: string, remedy: string | undefined): Trap {
  return { message, remedy };
}

function meant(value: string): string {
  return `write ${JSON.stringify(value)}`;
}

/** To write what is left, if anything is. */
function bare(value: string, extra: RegExp): string | undefined {
  const left = value.replace(extra, '');
  return left === '' || left === value ? undefined : meant(left);
}
