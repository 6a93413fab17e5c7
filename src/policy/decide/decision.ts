import { present } from '#base/assert.ts';
import type { CompiledRule } from '#policy/authz/compiled-policy.ts';
import type { NearestRule } from '#policy/decide/advice.ts';
import type { Call, TakenRoute, Target } from '#policy/decide/call.ts';
import type { Layer, LayerName } from '#policy/decide/layer.ts';

/** What becomes of a call at one workload, and why. */
export interface Decision {
  readonly decision: 'allow' | 'deny';
  readonly target: Target;
  /** What is asked, in order; after the layer that denies the others are skipped. */
  readonly layers: readonly Layer[];
  /** The layer that decides: the one that denies, else the one that allows. */
  readonly decidedBy: Layer;
  /** What the caller gets to see. */
  readonly answer: string;
  /** For a denial: the ALLOW rules that come nearest, fewest failed fields first. */
  readonly nearest: readonly NearestRule[];
  /** For a denial: the smallest change that would allow the call, where there is one. */
  readonly advice: string | undefined;
  /** The enforced rules of the workload that the call meets. */
  readonly matched: readonly CompiledRule[];
  /** Names of the extension providers that are asked, and may deny what is allowed here. */
  readonly asks: readonly string[];
}

const ALL_LAYERS = ['connection', 'revocation', 'token', 'custom', 'deny', 'allow'] as const;
/** What is asked after a connection was made. */
export const AFTER_CONNECTION = ['revocation', 'token', 'custom', 'deny', 'allow'] as const;
/** As above. */
export const AFTER_REVOCATION = ['token', 'custom', 'deny', 'allow'] as const;
/** As above. */
export const AFTER_TOKEN = ['custom', 'deny', 'allow'] as const;

/** What callers see of what is allowed. */
export const ALLOWED = 'the application gets it';

/** No workload of the mesh is asked. */
export function endedByRoute(
  { to }: Call,
  { layer, advice }: TakenRoute,
  answer: string,
): Decision {
  const decision = layer.outcome === 'deny' ? 'deny' : 'allow';
  return { ...refusal(to, [layer], ALL_LAYERS, answer), decision, decidedBy: layer, advice };
}

/** Policies are enforced by the proxy beside a workload; here is none. */
export function unguarded(target: Target, connection: Layer): Decision {
  const reason = 'no proxy is beside the workload, so no policy is enforced';
  const rest = AFTER_CONNECTION.map((layer): Layer => ({ layer, outcome: 'skipped', reason }));
  const layers = [connection, ...rest];
  const decidedBy = { ...connection, reason };
  return { ...refusal(target, layers, [], ALLOWED), decision: 'allow', decidedBy };
}

/**
 * The decision about a call that is refused by the last of `layers`.
 * @param rest what is not asked any more
 * @param answer what the caller gets to see
 */
export function refusal(
  target: Target,
  layers: readonly Layer[],
  rest: readonly LayerName[],
  answer: string,
): Decision {
  const skipped = rest.map((layer): Layer => ({ layer, outcome: 'skipped', reason: 'not asked' }));
  const all = [...layers, ...skipped];
  return {
    decision: 'deny',
    target,
    layers: all,
    decidedBy: decidingLayer(all),
    answer,
    nearest: [],
    advice: undefined,
    matched: [],
    asks: [],
  };
}

/** The layer that denies; where none does, the last one. */
export function decidingLayer(layers: readonly Layer[]): Layer {
  const denying = layers.find(({ outcome }) => outcome === 'deny');
  return denying ?? present(layers.at(-1), 'the last layer');
}
