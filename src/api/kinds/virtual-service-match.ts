import { flag, integer, list, map, object, text, type ValueOf } from '#api/schema.ts';

/** How a text is compared. */
export const stringMatch = object('How a text is compared: by one of exact, prefix and regex.', {
  exact: text('The whole text.'),
  prefix: text('How the text begins.'),
  regex: text('A regular expression (RE2) for the whole text.'),
});

const sourceLabels = map(
  'Labels that the calling workload must have.',
  text('The value of the label.'),
);
const gateways = list('Gateways for which it counts, instead of those above.', text('A gateway.'));
const sourceNamespace = text('Namespace that the calling workload must be in.');
const port = integer('Port that the caller means.', { minimum: 0, maximum: 4_294_967_295 });

/** `spec.http[].match[]`. */
export const httpMatch = object('A condition: all of its parts must hold.', {
  name: text('Name of the condition, for logs.'),
  uri: stringMatch,
  scheme: stringMatch,
  method: stringMatch,
  authority: stringMatch,
  headers: map('Headers by their name; {} = the header is there.', stringMatch),
  port,
  sourceLabels,
  gateways,
  queryParams: map('Query parameters by their name; {} = the parameter is there.', stringMatch),
  ignoreUriCase: flag('Compare `uri` without regard to letter case.'),
  withoutHeaders: map('Headers that must not match.', stringMatch),
  sourceNamespace,
  statPrefix: text('Name under which requests are counted.'),
});

/** `spec.tls[].match[]`. */
export const tlsMatch = object(
  'A condition on a TLS connection.',
  {
    sniHosts: list('Server names, of which one must match.', text('A name.')),
    destinationSubnets: list('Addresses that are called.', text('An address or a block.')),
    port,
    sourceLabels,
    gateways,
    sourceNamespace,
  },
  { required: ['sniHosts'] },
);

/** `spec.tcp[].match[]`. */
export const tcpMatch = object('A condition on a connection.', {
  destinationSubnets: list('Addresses that are called.', text('An address or a block.')),
  port,
  sourceSubnet: text('Address or block that calls come from; not used any more.'),
  sourceLabels,
  gateways,
  sourceNamespace,
});

/** How a text is compared. */
export interface StringMatch extends ValueOf<typeof stringMatch> {}

/** `spec.http[].match[]`. */
export interface HttpMatch extends ValueOf<typeof httpMatch> {}
