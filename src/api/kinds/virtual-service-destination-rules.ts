import { invalid, required, violates } from '#api/field-error.ts';
import { isHostLabel, wildcardHostProblem } from '#api/host.ts';
import type { Report } from '#api/kind.ts';
import { checkPort } from '#api/kinds/endpoint-rules.ts';
import type { Destination } from '#api/kinds/virtual-service-route.ts';

/** Envoy adds weights up in 32 bits. */
const WEIGHTS_MAX = 4_294_967_295;

/** Reports what is wrong with a destination. */
export function checkDestination(destination: Destination, field: string, report: Report): void {
  const { host, subset, port } = destination;
  if (host === '*') report(invalid(`${field}.host`, host, 'must be one service'));
  const problem = wildcardHostProblem(host.replaceAll('_', '-'));
  if (problem !== undefined) report(invalid(`${field}.host`, host, problem));
  if (subset !== undefined && subset !== '' && !isHostLabel(subset))
    report(invalid(`${field}.subset`, subset, 'must be a DNS label'));
  if (port === undefined) return;
  if (port.number === undefined) report(required(`${field}.port.number`));
  else checkPort(port.number, `${field}.port.number`, report);
}

/** Reports shares that are negative, or of which none is left for anybody. */
export function checkWeights(
  route: readonly { readonly weight?: number }[],
  field: string,
  report: Report,
): void {
  for (const [index, { weight = 0 }] of route.entries()) {
    if (weight < 0) report(invalid(`${field}[${index}].weight`, weight, 'must not be less than 0'));
  }
  const total = route.reduce((sum, { weight = 0 }) => sum + weight, 0);
  if (total > WEIGHTS_MAX)
    report(violates(field, `the weights add up to more than ${WEIGHTS_MAX}`));
  if (route.length > 1 && total === 0)
    report(violates(field, 'with several destinations, one must have a weight'));
}
