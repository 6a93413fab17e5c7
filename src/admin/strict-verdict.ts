import type {
  MtlsPairView,
  MtlsPortView,
  MtlsView,
  MtlsWorkloadView,
  ObjectView,
  PlaintextCallerView,
  StrictVerdict,
} from '#admin/mtls.ts';
import { formatDurationMs } from '#base/duration.ts';

const CALLERS_NAMED_MAX = 3;
const SECOND_MS = 1000;

/**
 * Whether a port may be made STRICT, as far as was seen.
 * @param windowMs how long nobody may have come without mutual TLS
 */
export function strictVerdict(
  port: MtlsPortView,
  workload: MtlsWorkloadView,
  { at, pairs }: Pick<MtlsView, 'at' | 'pairs'>,
  windowMs: number,
): StrictVerdict {
  if (workload.proxy === 'none') return verdict('not-safe', 'it has no proxy');
  if (port.mode === 'STRICT') return verdict('strict', '');
  if (port.mode === 'REFUSE') return verdict('closed', 'a policy asks for what nobody can prove');
  if (port.mode === 'DISABLE')
    return verdict('not-safe', 'it takes plaintext only: make it PERMISSIVE first');
  const ruled = plaintextRules(port, workload, pairs);
  if (ruled.length > 0)
    return verdict('not-safe', `clients do not send mutual TLS: ${ruled.join(', ')}`);
  const { seen, ...known } = { ...port, ...workload };
  if (!seen || known.observedSince === undefined)
    return verdict('unknown', workload.proxy === 'away' ? 'not connected' : 'nothing was told');
  const now = Date.parse(at);
  const from = now - windowMs;
  const isLate = (instant: string): boolean => Date.parse(instant) >= from;
  if (seen.open > 0 || (seen.plaintextAt !== undefined && isLate(seen.plaintextAt)))
    return verdict(
      'not-safe',
      whoCame(
        seen.callers.filter(({ lastAt }) => isLate(lastAt)),
        now,
      ),
    );
  const observed = since(known.observedSince, now);
  if (!isLate(known.observedSince))
    return verdict('safe', `no plaintext for ${duration(windowMs)}`);
  return verdict('too-early', `no plaintext yet, watched for ${observed}`);
}

/** `PeerAuthentication shop/web`. */
export function objectText({ kind, namespace, name }: ObjectView): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}

/** Why clients of the mesh connect to the port without an identity of theirs. */
function plaintextRules(
  { port }: MtlsPortView,
  { namespace, name }: MtlsWorkloadView,
  pairs: readonly MtlsPairView[],
): readonly string[] {
  const rules = pairs
    .filter(
      ({ serverPort, servers }) => serverPort === port && servers.includes(`${namespace}/${name}`),
    )
    .filter(({ sends }) => sends === 'plaintext' || sends === 'other-tls')
    .map(({ clientRule }) =>
      clientRule ? objectText(clientRule) : 'auto mTLS is off, or not for every endpoint',
    );
  return [...new Set(rules)];
}

function whoCame(callers: readonly PlaintextCallerView[], now: number): string {
  if (callers.length === 0) return 'plaintext from a caller whose address is not known yet';
  const named = callers
    .slice(0, CALLERS_NAMED_MAX)
    .map((caller) => `${callerText(caller)} ${since(caller.lastAt, now)} ago`);
  const more = callers.length - named.length;
  return `plaintext from ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** `10.1.2.3 (shop/web)`; many workloads of one machine may share an address. */
function callerText({ address, workloads }: PlaintextCallerView): string {
  const [only] = workloads;
  if (only === undefined) return address;
  const names = workloads.length === 1 ? only : `the address of ${workloads.length} workloads`;
  return `${address} (${names})`;
}

function since(instant: string, now: number): string {
  return duration(Math.max(SECOND_MS, now - Date.parse(instant)));
}

function duration(ms: number): string {
  return formatDurationMs(Math.floor(ms / SECOND_MS) * SECOND_MS);
}

function verdict(state: StrictVerdict['state'], reason: string): StrictVerdict {
  return { state, reason };
}
