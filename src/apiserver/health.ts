import { type Answer, textAnswer } from '#apiserver/present.ts';
import type { ApiRequest } from '#apiserver/resource-context.ts';

/** One thing that must be well for the server to be. */
export interface HealthCheck {
  readonly name: string;
  /** Whether it only keeps the server from being ready, not from being alive. */
  readonly readinessOnly: boolean;
  /** @throws when it is not well */
  readonly check: () => Promise<void>;
}

const ENDPOINTS = ['healthz', 'livez', 'readyz'];

/** The answer to /healthz, /livez and /readyz, whole or one check; undefined for other paths. */
export async function healthAnswer(
  request: ApiRequest,
  checks: readonly HealthCheck[],
): Promise<Answer | undefined> {
  const [, endpoint = '', name, ...more] = request.path.split('/');
  if (!ENDPOINTS.includes(endpoint) || more.length > 0) return undefined;
  const meant = checks.filter(({ readinessOnly }) => endpoint === 'readyz' || !readinessOnly);
  const asked = name === undefined ? meant : meant.filter((check) => check.name === name);
  if (asked.length === 0) return undefined;
  const results = await Promise.all(asked.map(async (one) => ({ one, ok: await holds(one) })));
  const ok = results.every((result) => result.ok);
  if (ok && !request.query.has('verbose')) return textAnswer(200, 'ok');
  const lines = results.map((result) =>
    result.ok ? `[+]${result.one.name} ok` : `[-]${result.one.name} failed: reason withheld`,
  );
  const text = [...lines, `${endpoint} check ${ok ? 'passed' : 'failed'}`].join('\n');
  return textAnswer(ok ? 200 : 500, text);
}

async function holds({ check }: HealthCheck): Promise<boolean> {
  return check().then(
    () => true,
    () => false,
  );
}
