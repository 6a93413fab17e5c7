/**
 * The requests of the suite `traffic` that policy decides, asked of the evaluator alone: what it
 * can say of a call must be what was measured. What it cannot say (a provider that is asked, an
 * answer of the application) is left out.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMeshConfig } from '#api/mesh-config.ts';
import type { ApiObject } from '#api/object.ts';
import { readCall } from '#cli/calls/read-call.ts';
import { configuredSettings } from '#model/configured-settings.ts';
import { type MeshSettings, meshSettings } from '#model/mesh-settings.ts';
import { Decider } from '#policy/decide/decider.ts';
import { parseTrustDomain } from '#spiffe/spiffe-id.ts';
import { testMesh } from '../../kit/mesh.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';

/** Where policy decides; others are about routes, tokens and TLS. */
const FAMILIES: readonly string[] = ['authz', 'path', 'custom'];

/** Pods of the data: who they run as, and their address (its README, "Topology"). */
const PODS: Readonly<Record<string, { readonly caller: string; readonly ip: string }>> = {
  a: { caller: 'foo/a', ip: '10.90.0.11' },
  b: { caller: 'foo/b', ip: '10.90.0.12' },
  b2: { caller: 'foo/b', ip: '10.90.0.13' },
  c: { caller: 'bar/c', ip: '10.90.0.14' },
  n: { caller: 'outside', ip: '10.90.0.15' },
};
const SERVICES = ['a', 'b', 'bb', 'c', 'n', 'marker'];
const STATUS_DENIED = [400, 403];

interface Request {
  readonly name: string;
  readonly from: string;
  readonly url: string;
  readonly method?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly noport?: boolean;
  readonly artefact?: string;
  readonly expect: {
    readonly status?: number;
    readonly servedBy?: string;
    readonly error?: string;
  };
}

interface Scenario {
  readonly family: string;
  readonly name: string;
  readonly mesh?: string;
  readonly nack?: unknown;
  readonly without?: readonly string[];
  readonly config: readonly ApiObject[];
  readonly requests: readonly Request[];
}

interface TrafficData {
  readonly base: readonly ApiObject[];
  readonly scenarios: readonly Scenario[];
}

/** A case is a scenario, and fails when the evaluator says something else of any request. */
export const suite: ConformanceSuite = {
  name: 'traffic-offline',
  async run(directory, { families } = {}) {
    const text = readFileSync(join(directory, 'traffic/traffic.json'), 'utf8');
    const { base, scenarios } = JSON.parse(withAddresses(text)) as TrafficData;
    const wanted = FAMILIES.filter((family) => families?.includes(family) ?? true);
    return scenarios
      .filter(({ family, nack }) => wanted.includes(family) && nack === undefined)
      .map((scenario) => decide(scenario, base));
  },
};

function withAddresses(text: string): string {
  const pods = Object.entries(PODS).reduce(
    (all, [name, { ip }]) => all.replaceAll(`<ip:${name}>`, ip),
    text,
  );
  return SERVICES.reduce(
    (all, name, at) => all.replaceAll(`<vip:${name}>`, `10.91.0.${at + 1}`),
    pods,
  );
}

function decide(scenario: Scenario, base: readonly ApiObject[]): CaseResult {
  const objects = base.filter(({ metadata }) => !scenario.without?.includes(metadata.name));
  const mesh = testMesh([...objects, ...scenario.config], settingsOf(scenario)).model.snapshot();
  const decider = new Decider(mesh);
  const told: string[] = [];
  let asked = 0;
  for (const request of scenario.requests) {
    const expected = expectedOf(request);
    if (expected === undefined || request.artefact !== undefined) continue;
    const { hostname, port, protocol } = new URL(request.url);
    const [, target = ''] = /^\w+:\/\/[^/]*(.*)$/s.exec(request.url) ?? [];
    const { caller, ip } = PODS[request.from] ?? {};
    if (caller === undefined) continue;
    const headers = headersOf(request);
    const [given] = headers.host ?? [];
    const host = given ?? (request.noport ? hostname : `${hostname}:${port}`);
    const http = { method: request.method, path: target || '/', host, headers };
    const to = `${hostname}:${port}`;
    const spelling = { from: caller, to, ip, ...(protocol === 'http:' && http) };
    const decisions = readCall(spelling, mesh, 'foo').calls.map((call) => decider.decide(call, 0));
    if (decisions.some(({ asks }) => asks.length > 0)) continue;
    asked += 1;
    const answer = decisions.every(({ decision }) => decision === 'allow') ? 'allow' : 'deny';
    const reason = decisions.map(({ decidedBy }) => decidedBy.reason).join('; ');
    if (answer !== expected) told.push(`${request.name}: ${answer} (${reason}), not ${expected}`);
  }
  const detail = told[0] ?? (asked === 0 ? 'nothing of it can be said' : undefined);
  const outcome = told.length > 0 ? 'failed' : asked === 0 ? 'skipped' : 'passed';
  return { case: scenario.name, outcome, ...(detail !== undefined && { detail }) };
}

/** All values of each header, by its name in lower case. */
function headersOf({ headers = [] }: Request): Readonly<Record<string, readonly string[]>> {
  const byName = Map.groupBy(headers, ([name]) => name.toLowerCase());
  return Object.fromEntries(
    [...byName].map(([name, all]) => [name, all.map(([, value]) => value)]),
  );
}

/** Other names of the trust domain are a setting of the server here, as in the driver. */
function settingsOf({ mesh = '{}' }: Scenario): MeshSettings {
  const aliases = /trustDomainAliases: \[(.*)\]/.exec(mesh)?.[1]?.split(',') ?? [];
  const started = meshSettings(parseTrustDomain('cluster.local'), {
    hardening: 'istio',
    trustDomainAliases: aliases.map((alias) => parseTrustDomain(alias.trim())),
  });
  return { ...started, ...configuredSettings(readMeshConfig(mesh, 'mesh').config, started) };
}

/** Undefined for what is not decided by policy. */
function expectedOf({ expect }: Request): 'allow' | 'deny' | undefined {
  if (expect.servedBy !== undefined) return 'allow';
  if (expect.error === 'closed') return 'deny';
  return STATUS_DENIED.includes(expect.status ?? 0) ? 'deny' : undefined;
}
