import type {
  MtlsPairView,
  MtlsPortView,
  MtlsView,
  MtlsWorkloadView,
  StrictVerdict,
} from '#admin/mtls.ts';
import { strictVerdict } from '#admin/strict-verdict.ts';

/** A port of a workload, and what becomes of it when it is made STRICT. */
export interface JudgedPort {
  readonly workload: MtlsWorkloadView;
  readonly port: MtlsPortView;
  readonly strict: StrictVerdict;
}

/**
 * The ports of the workloads of a namespace, of all when it is undefined. The ports that nobody
 * names are left out where nobody came.
 */
export function judgedPorts(
  view: MtlsView,
  { namespace, windowMs }: { readonly namespace: string | undefined; readonly windowMs: number },
): readonly JudgedPort[] {
  return view.workloads
    .filter((workload) => namespace === undefined || workload.namespace === namespace)
    .flatMap((workload) =>
      workload.ports.filter(isOfInterest).map((port) => ({
        workload,
        port,
        strict: strictVerdict(port, workload, view, windowMs),
      })),
    );
}

/** Connections of which one end is in the namespace. */
export function pairsOf(
  { pairs }: MtlsView,
  namespace: string | undefined,
): readonly MtlsPairView[] {
  if (namespace === undefined) return pairs;
  const isThere = (name: string): boolean => name.startsWith(`${namespace}/`);
  return pairs.filter(({ clients, servers }) => [...clients, ...servers].some(isThere));
}

function isOfInterest({ port, seen }: MtlsPortView): boolean {
  return port !== 0 || (seen !== undefined && seen.tls + seen.plaintext > 0);
}
