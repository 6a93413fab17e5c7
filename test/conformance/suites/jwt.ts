import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRegistry, toJson } from '@bufbuild/protobuf';
import { AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import { JwtAuthenticationSchema } from '#gen/envoy-api/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { KeySets } from '#model/key-sets.ts';
import { buildJwtAuthentication } from '#xds/generate/authn/jwt.ts';
import { startEnvoy } from '../../kit/envoy.ts';
import { KeepAliveClient } from '../../kit/keep-alive-client.ts';
import { caseNames } from '../case-names.ts';
import { jsonDifference } from '../json-difference.ts';
import type { CaseResult, ConformanceSuite } from '../suite.ts';
import { tokensOf } from './authn/tokens.ts';

/** A line of `jwt/tokens.tsv`. */
interface TokenLine {
  readonly name: string;
  /** What the token says, if it is one; undefined for a text that is none. */
  readonly payload: Readonly<Record<string, unknown>> | undefined;
  readonly token: string;
}

const FILTERS = 'type.googleapis.com/envoy.extensions.filters';
const LISTENER = 'tokens';
/** The header in which the application would get the payload. */
const PAYLOAD = 'x-payload';

/**
 * Tokens → taken, with their payload, or refused: by a real Envoy with the filter that we make of a
 * RequestAuthentication for their issuers.
 */
export const suite: ConformanceSuite = {
  name: 'jwt',
  run: async (directory) => {
    const folder = join(directory, 'jwt');
    const lines = readLines(readFileSync(join(folder, 'tokens.tsv'), 'utf8'));
    const keys = ['jwks.json', 'demo-jwks.json'].flatMap((file) => {
      const set = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { keys: object[] };
      return set.keys;
    });
    return await withEnvoy(filterFor(lines, JSON.stringify({ keys })), async (client) => {
      const unique = caseNames();
      const results: CaseResult[] = [];
      for (const line of lines) results.push(await result(line, unique(line.name), client));
      return results;
    });
  },
};

function readLines(table: string): TokenLine[] {
  const [, ...lines] = table.trimEnd().split('\n');
  return lines.map((line) => {
    const [name = '', payload = '', token = ''] = line.split('\t');
    return { name, payload: payload === '' ? undefined : JSON.parse(payload), token };
  });
}

async function result(
  { payload, token }: TokenLine,
  name: string,
  client: KeepAliveClient,
): Promise<CaseResult> {
  const headers = { authorization: `Bearer ${token}` };
  const { status, body } = await client.ask({ target: '/', headers });
  const isGood = payload !== undefined && Number(payload.exp) * 1000 > Date.now();
  const difference =
    jsonDifference(isGood ? 200 : 401, status, 'status') ??
    (isGood ? jsonDifference(payload, payloadIn(body), 'payload') : undefined);
  return difference === undefined
    ? { case: name, outcome: 'passed' }
    : { case: name, outcome: 'failed', detail: difference };
}

function payloadIn(base64: string): unknown {
  return JSON.parse(Buffer.from(base64, 'base64url').toString('utf8'));
}

/** The filter of a workload that takes tokens of every issuer of the table. */
function filterFor(lines: readonly TokenLine[], jwks: string): unknown {
  const issuers = new Set(lines.map(({ payload }) => payload?.iss).filter(Boolean));
  const jwtRules = [...issuers].map((issuer) => {
    return { issuer: String(issuer), jwks, outputPayloadToHeader: PAYLOAD };
  });
  const options = { enforceRequired: false, refuseBadOptional: false, checkBearer: false };
  const tokens = tokensOf([{ jwtRules }], undefined);
  const message = buildJwtAuthentication(tokens, KeySets.none, options);
  const registry = createRegistry(JwtAuthenticationSchema);
  const config = anyPack(JwtAuthenticationSchema, message);
  return { name: 'tokens', typed_config: toJson(AnySchema, config, { registry }) };
}

/** Runs with a client of an Envoy that answers with the payload that the application would get. */
async function withEnvoy<T>(
  filter: unknown,
  use: (client: KeepAliveClient) => Promise<T>,
): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    const after = (end: () => unknown) => ends.unshift(end);
    const bootstrap = { static_resources: { listeners: [listener(filter)] } };
    const envoy = await startEnvoy({ after }, { bootstrap });
    await envoy.ready();
    const shown = JSON.parse(await envoy.admin('/listeners?format=json'));
    const port: number = shown.listener_statuses[0].local_address.socket_address.port_value;
    const client = new KeepAliveClient({ port });
    ends.unshift(() => client.close());
    return await use(client);
  } finally {
    for (const end of ends) await end();
  }
}

function listener(filter: unknown) {
  const answer = { match: { prefix: '/' }, direct_response: { status: 200 } };
  const body = { text_format_source: { inline_string: `%REQ(${PAYLOAD})%` } };
  const manager = {
    '@type': `${FILTERS}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: LISTENER,
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [answer] }] },
    local_reply_config: { body_format: body },
    http_filters: [
      filter,
      { name: 'router', typed_config: { '@type': `${FILTERS}.http.router.v3.Router` } },
    ],
  };
  return {
    name: LISTENER,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  };
}
