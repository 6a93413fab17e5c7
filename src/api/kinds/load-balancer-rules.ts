import { checkDuration } from '#api/duration.ts';
import { forbidden, invalid, required, tooMany, violates, warning } from '#api/field-error.ts';
import type { Report } from '#api/kind.ts';
import type { LoadBalancer } from '#api/kinds/traffic-policy.ts';

type ConsistentHash = NonNullable<LoadBalancer['consistentHash']>;
type LocalitySetting = NonNullable<LoadBalancer['localityLbSetting']>;

/** More localities than any mesh has. */
const LOCALITIES_MAX = 512;
/** Bound of Envoy's Maglev table. */
const MAGLEV_TABLE_MAX = 5_000_011;
/** What a hash can be made of, one of them. */
const HASH_SOURCES = [
  'httpHeaderName',
  'httpCookie',
  'useSourceIp',
  'httpQueryParameterName',
] as const;
/** Labels of a workload's place, which `failover` sorts by already. */
const PLACE_LABELS: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]);

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let factor = 2; factor * factor <= number; factor++) {
    if (number % factor === 0) return false;
  }
  return true;
}

function checkHash(hash: ConsistentHash, field: string, report: Report): void {
  const sources = HASH_SOURCES.filter((name) => hash[name] !== undefined);
  if (sources.length > 1) report(violates(field, `only one of ${sources.join(', ')} can be set`));
  const { ringHash, maglev, minimumRingSize, httpCookie } = hash;
  if (ringHash !== undefined && maglev !== undefined) {
    report(violates(field, 'only one of ringHash, maglev can be set'));
  }
  if (minimumRingSize) {
    const message = 'minimumRingSize is out of use';
    report(warning(`${field}.minimumRingSize`, message, 'use ringHash.minimumRingSize'));
    if (ringHash !== undefined || maglev !== undefined) {
      report(forbidden(`${field}.minimumRingSize`, 'not together with ringHash or maglev'));
    }
  }
  if (httpCookie?.name === '') report(required(`${field}.httpCookie.name`));
  checkDuration(httpCookie?.ttl, `${field}.httpCookie.ttl`, report, { zero: true });
  const size = maglev?.tableSize ?? 0;
  if (maglev !== undefined && (size >= MAGLEV_TABLE_MAX || !isPrime(size))) {
    const detail = `must be a prime number below ${MAGLEV_TABLE_MAX}`;
    report(invalid(`${field}.maglev.tableSize`, size, detail));
  }
}

/**
 * Whether one of two localities (`region/zone/subzone`, shorter forms, `*` at the end) holds the
 * other.
 */
function localitiesOverlap(one: string, other: string): boolean {
  const [short, long] = [one.split('/'), other.split('/')].sort((a, b) => a.length - b.length);
  return (short ?? []).every(
    (part, index) => part === '*' || long?.[index] === '*' || part === long?.[index],
  );
}

function localityProblem(locality: string): string | undefined {
  const stars = locality.split('*').length - 1;
  if (stars > 1 || (stars === 1 && !locality.endsWith('*'))) {
    return 'a wildcard can only be at the end';
  }
  const parts = locality.split('/');
  if (parts.length > 3 || parts.includes('')) return 'must be region/zone/subzone or shorter';
  return undefined;
}

function checkLocalities(localities: readonly string[], field: string, report: Report): void {
  // Each is compared with each.
  if (localities.length > LOCALITIES_MAX) {
    report(tooMany(field, localities.length, LOCALITIES_MAX));
    return;
  }
  for (const [index, locality] of localities.entries()) {
    const problem = localityProblem(locality);
    if (problem !== undefined) report(invalid(field, locality, problem));
    const earlier = localities.slice(0, index).find((other) => localitiesOverlap(other, locality));
    if (earlier !== undefined) report(invalid(field, locality, `overlaps with "${earlier}"`));
  }
}

function checkShares(setting: LocalitySetting, field: string, report: Report): void {
  const distribute = setting.distribute ?? [];
  for (const [index, { to = {} }] of distribute.entries()) {
    const at = `${field}.distribute[${index}].to`;
    const shares = Object.entries(to);
    for (const [locality, percent] of shares) {
      if (percent < 1 || percent > 100) {
        report(invalid(`${at}[${locality}]`, percent, 'must be between 1 and 100'));
      }
    }
    const total = shares.reduce((sum, [, percent]) => sum + percent, 0);
    if (total !== 100) report(invalid(at, total, 'the shares must add up to 100'));
    checkLocalities(Object.keys(to), at, report);
  }
  const sources = distribute.map(({ from = '' }) => from);
  checkLocalities(sources, `${field}.distribute`, report);
}

/** Reports what is wrong with a preference of near endpoints; `known`: what else is set. */
export function checkLocality(
  setting: LocalitySetting,
  field: string,
  report: Report,
  known: { readonly outlierDetection: boolean },
): void {
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0 && failover.length > 0) {
    report(violates(field, 'only one of distribute, failover can be set'));
  }
  const places = failoverPriority.filter((label) => PLACE_LABELS.has(label));
  if (failover.length > 0 && places.length > 0) {
    report(violates(field, `failover decides already by ${places.join(', ')}`));
  }
  if ((failover.length > 0 || failoverPriority.length > 0) && !known.outlierDetection) {
    const message = 'without outlierDetection nobody notices that a region is unhealthy';
    report(warning(field, message, 'add outlierDetection'));
  }
  for (const [index, { from = '', to = '' }] of failover.entries()) {
    const at = `${field}.failover[${index}]`;
    if (from === to) report(violates(at, 'from and to must be different regions'));
    for (const region of [from, to]) {
      if (/[/*]/.test(region)) report(invalid(at, region, 'must be a region, without wildcards'));
    }
  }
  checkShares(setting, field, report);
}

/** Reports what is wrong with a load balancer. */
export function checkLoadBalancer(
  balancer: LoadBalancer,
  field: string,
  report: Report,
  known: { readonly outlierDetection: boolean },
): void {
  const { simple, consistentHash, localityLbSetting, warmup, warmupDurationSecs } = balancer;
  if (simple !== undefined && consistentHash !== undefined) {
    report(violates(field, 'only one of simple, consistentHash can be set'));
  }
  if (consistentHash !== undefined) checkHash(consistentHash, `${field}.consistentHash`, report);
  if (localityLbSetting !== undefined) {
    checkLocality(localityLbSetting, `${field}.localityLbSetting`, report, known);
  }
  checkDuration(warmupDurationSecs, `${field}.warmupDurationSecs`, report);
  checkDuration(warmup?.duration, `${field}.warmup.duration`, report);
}
