import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiClient } from '../../kit/api-client.ts';
import { startApiServer, type TestApiServer } from '../../kit/api-server.ts';
import { caseNames } from '../case-names.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { type Clients, Replay, type StepResult } from './kubeapi/replay.ts';
import type { Transcript } from './kubeapi/transcript.ts';

/** In the order in which they were recorded: a later one may need what an earlier one left. */
const AREAS = [
  ...['crud', 'patch', 'apply', 'list', 'watch'],
  ...['authn', 'authz', 'crd', 'webhook', 'discovery'],
];
/** Areas for which there is no driver. */
const NOT_BUILT: Readonly<Record<string, string>> = {
  webhook: 'a server that hooks call',
  kubectl: 'kubectl itself, with what it prints',
};
/** Groups of the users. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  admin: ['system:masters'],
  alice: ['dev'],
  bob: ['ops', 'dev'],
  'cert:carol': ['dev', 'qa'],
  'cert:admin': ['system:masters'],
};

/** Requests of a transcript → the answers of a real API server, replayed on ours. */
export const suite: ConformanceSuite = {
  name: 'kubeapi',
  run: async (directory) => {
    const ends: (() => unknown)[] = [];
    const folder = mkdtempSync(join(tmpdir(), 'bulwark-kubeapi-'));
    try {
      const after = (end: () => unknown) => void ends.unshift(end);
      const server = await startApiServer({ after }, { directory: folder });
      return await allAreas(join(directory, 'kubeapi'), clientsOf(server));
    } finally {
      for (const end of ends) await end();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function allAreas(folder: string, clients: Clients): Promise<CaseResult[]> {
  const unique = caseNames();
  const results: CaseResult[] = [await ownersOfFields(clients)];
  for (const area of [...AREAS, 'kubectl']) {
    const detail = NOT_BUILT[area];
    if (detail !== undefined) {
      results.push({ case: area, outcome: 'failed', detail: `not built: ${detail}` });
      continue;
    }
    const text = readFileSync(join(folder, `${area}.json`), 'utf8');
    const { scenarios } = JSON.parse(text) as Transcript;
    const replay = new Replay(area, clients);
    for (const scenario of scenarios) {
      for (const step of await replay.run(scenario))
        results.push(result(step, unique(`${area}/${scenario.name}/${step.step}`)));
    }
  }
  return results;
}

function result({ difference, skipped }: StepResult, name: string): CaseResult {
  if (skipped !== undefined) return { case: name, outcome: 'skipped', detail: skipped };
  if (difference === undefined) return { case: name, outcome: 'passed' };
  return { case: name, outcome: 'failed', detail: difference };
}

/** In one case, not in that of every object. */
async function ownersOfFields(clients: Clients): Promise<CaseResult> {
  const { body } = await clients('admin').get('/api/v1/namespaces/default');
  const name = 'managedFields';
  return Array.isArray(body.metadata?.managedFields)
    ? { case: name, outcome: 'passed' }
    : { case: name, outcome: 'failed', detail: 'objects do not say who owns which field' };
}

/** Clients with certificates, where the real server was asked with tokens of static users. */
function clientsOf(server: TestApiServer): Clients {
  const known = new Map<string, ApiClient>();
  return (as) => {
    const found = known.get(as) ?? newClient(server, as);
    known.set(as, found);
    return found;
  };
}

function newClient(server: TestApiServer, as: string): ApiClient {
  if (as === 'anonymous') return server.client();
  if (as.startsWith('token:')) return server.client({ token: as.slice('token:'.length) });
  const groups = GROUPS[as];
  if (groups === undefined) throw new Error(`nobody is called ${as}`);
  const user = as === 'cert:admin' ? 'kubernetes-admin' : as.replace(/^cert:/, '');
  return server.client({ credentials: server.clients.issue({ user, groups, validDays: 1 }) });
}
