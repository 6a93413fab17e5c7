import { invalid } from '#api/field-error.ts';
import { isHostLabel } from '#api/host.ts';
import type { Report } from '#api/kind.ts';

/** The word for all sidecars among gateways. */
export const MESH = 'mesh';

/** Reports names that no gateway can have; `at` is where they are. */
export function checkGatewayNames(gateways: readonly string[], at: string, report: Report): void {
  for (const [index, gateway] of gateways.entries()) {
    const field = `${at}[${index}]`;
    const parts = gateway.split('/');
    const well = parts.length <= 2 && parts.every((part) => part.split('.').every(isHostLabel));
    if (!well) {
      report(invalid(field, gateway, 'must be the name of a gateway, NAMESPACE/NAME, or `mesh`'));
    }
  }
}
