import type { RootsRequest, RootsView } from '#admin/contract.ts';
import type { Caller } from '#apiserver/authorize.ts';
import type { ActionOutcome } from '#apiserver/dispatch.ts';
import type { ClientChange } from '#apiserver/resource-context.ts';
import type { Clock } from '#base/clock.ts';
import { isBulwarkError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { MeshRoots } from '#ca/roots/mesh-roots.ts';
import { nextStep, ROTATION_STEPS, type RotationStep } from '#ca/roots/root-states.ts';
import type { Site } from '#ca/sites/sites.ts';
import { missingSites } from '#controlplane/site-proof.ts';
import { type KnownProxy, missingFor } from '#controlplane/trust-proof.ts';
import type { UnheardAgents } from '#controlplane/unheard-agents.ts';
import type { TrustPeers } from '#xds/serve/trust-peers.ts';

export interface RootRotationDeps {
  readonly roots: MeshRoots;
  readonly peers: TrustPeers;
  /** Agents that have a certificate and did not come back since the start. */
  readonly unheard: Pick<UnheardAgents, 'among' | 'until'>;
  /** The version of the bundle that all should have now. */
  readonly version: () => string;
  /** Resolves when the peers are known over a crash. */
  readonly remember: () => Promise<void>;
  /** The servers below this one. */
  readonly sites: () => readonly Site[];
  /** The proxies that are connected. */
  readonly proxies: () => readonly KnownProxy[];
  /** When all who fetch our bundle should have it as it is now, wall-clock milliseconds. */
  readonly bundleIsKnownAt: () => number;
  /** Told of each step, so that it is recorded who took it. */
  readonly onChange: (change: ClientChange) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A name that nobody can have as a user. */
const ITSELF: Caller = { username: 'system:bulwark-server', groups: [] };
const NAMES_MAX = 10_000;

/**
 * Leads the mesh from one root to the next: takes a step only when it is proven that nobody is left
 * behind, but those who are named.
 */
export class RootRotation {
  readonly #deps: RootRotationDeps;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: RootRotationDeps) {
    this.#deps = deps;
  }

  /** The roots, what comes next, and who is not ready for it. */
  view(): RootsView {
    const { roots, clock } = this.#deps;
    const step = nextStep(roots.roots);
    const { unheard } = this.#evidence();
    return {
      roots: roots.roots.map(({ state, certificate }) => {
        const { serial, subjectKeyId, notBeforeAt, notAfterAt } = certificate;
        const used = (clock.now() - notBeforeAt) / (notAfterAt - notBeforeAt);
        return {
          state,
          serial,
          keyId: subjectKeyId ?? '',
          notBefore: new Date(notBeforeAt).toISOString(),
          notAfter: new Date(notAfterAt).toISOString(),
          usedPercent: Math.round(Math.min(1, Math.max(0, used)) * 1000) / 10,
        };
      }),
      next: step,
      missing: this.#missing(step),
      workloads: this.#deps.peers.all().length,
      ...(unheard.length > 0 && {
        unheard: { identities: unheard.length, until: this.#deps.unheard.until },
      }),
    };
  }

  /**
   * Takes a step that was asked for as a RootsRequest; refusals are answers, 409 or 400.
   * @param caller who asks; the server itself when left out
   */
  act(body: unknown, caller: Caller = ITSELF): Promise<ActionOutcome> {
    const request = readRequest(body);
    if (!request) {
      const message = `want {"step": one of ${ROTATION_STEPS.join(', ')}, "leaveBehind": [names]}`;
      return Promise.resolve({ code: 400, body: { message } });
    }
    const acting = this.#turn.then(() => this.#act(request, caller));
    this.#turn = acting.catch(() => {});
    return acting;
  }

  async #act({ step, leaveBehind }: RootsRequest, caller: Caller): Promise<ActionOutcome> {
    // Killed in the middle of the step, the next one has to know who was here.
    await this.#deps.remember();
    const left = new Set(leaveBehind);
    const missing = this.#missing(step).filter(
      ({ name, identity }) => !left.has(name) && !left.has(identity),
    );
    if (missing.length > 0 && this.#isNext(step)) {
      const message = `${missing.length} workload(s) are not ready for ${step}`;
      return { code: 409, body: { message, missing } };
    }
    const before = this.#state();
    try {
      await this.#deps.roots.step(step);
    } catch (error) {
      if (!isBulwarkError(error, 'CA_ROTATION_REFUSED')) throw error;
      return { code: 409, body: { message: error.message, remedy: error.remedy, missing: [] } };
    } finally {
      const after = { ...this.#state(), leaveBehind };
      // Also when it was taken and something after it failed.
      if (JSON.stringify(before.roots) !== JSON.stringify(after.roots))
        this.#deps.onChange({ caller, verb: 'update', before, after });
    }
    if (leaveBehind.length > 0)
      this.#deps.log.warn('workloads were left behind by a rotation', { step, leaveBehind });
    return { code: 200, body: this.view() };
  }

  /** The roots as a record of changes tells them. */
  #state() {
    const roots = this.#deps.roots.roots.map(({ state, certificate }) => {
      return { keyId: certificate.subjectKeyId ?? '', state };
    });
    const metadata = { name: 'roots' };
    return { apiVersion: 'bulwark.mesh/v1alpha1', kind: 'RootRotation', metadata, roots };
  }

  #isNext(step: RotationStep): boolean {
    const { roots } = this.#deps.roots;
    const next = nextStep(roots);
    return step === next || (step === 'abort' && (next === 'activate' || next === 'taint'));
  }

  /** Other trust domains, which cannot say what they trust: they are given time to fetch it. */
  #strangers(): RootsView['missing'] {
    const { bundleIsKnownAt, clock } = this.#deps;
    const leftMs = bundleIsKnownAt() - clock.now();
    if (leftMs <= 0) return [];
    const reason = `they have ${Math.ceil(leftMs / 1000)} s more to fetch the new root`;
    return [{ name: 'federated-meshes', identity: '', reason }];
  }

  #evidence() {
    const { peers, version, proxies, unheard } = this.#deps;
    const connected = { peers: peers.all(), proxies: proxies() };
    return { ...connected, unheard: unheard.among(connected), version: version() };
  }

  #missing(step: RotationStep): RootsView['missing'] {
    const { roots } = this.#deps.roots;
    const other = roots.find(({ state }) => state !== 'active');
    // An abort of the second half makes the old root sign again: both stay trusted.
    if (step === 'abort' && other?.state === 'retired') return [];
    const evidence = { ...this.#evidence(), otherKeyId: other?.certificate.subjectKeyId };
    const ofSites = { sites: this.#deps.sites(), roots, ...evidence };
    const missing = [...missingFor(step, evidence), ...missingSites(step, ofSites)];
    return step === 'activate' ? [...missing, ...this.#strangers()] : missing;
  }
}

function readRequest(body: unknown): RootsRequest | undefined {
  const { step, leaveBehind = [] } = (body ?? {}) as Partial<Record<keyof RootsRequest, unknown>>;
  const known = ROTATION_STEPS.find((one) => one === step);
  if (!known || !Array.isArray(leaveBehind) || leaveBehind.length > NAMES_MAX) return undefined;
  if (!leaveBehind.every((name) => typeof name === 'string')) return undefined;
  return { step: known, leaveBehind };
}
