import type { AgentMetrics } from '#agent/metrics.ts';
import type { TokenSource } from '#agent/tokens/token-source.ts';
import type { Clock } from '#base/clock.ts';
import { BulwarkError, describeError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { Secret } from '#base/secret.ts';
import { KubeClient, type KubeResponse, refusal } from '#kubeclient/kube-client.ts';
import { readKubeconfig } from '#kubeclient/kubeconfig.ts';
import { offersThirdPartyTokens } from '#kubeclient/token-support.ts';

/** Whose token, and who gives it. */
export interface TokenRequestOptions {
  /** The kubeconfig; read again for each request, since servers write it anew. */
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience: string;
}

/** Seconds; the shortest that Kubernetes gives. A token is used once, right after it was made. */
const LIFETIME_SECONDS = 600;
/** The part of its lifetime after which a token is not used any more. */
const USABLE_PART = 0.8;

/** Who may not ask what is offered is told by the refusal itself. */
function isOffered(client: KubeClient): Promise<boolean> {
  return offersThirdPartyTokens(client).catch(() => true);
}

interface TokenRequestAnswer {
  readonly status?: { readonly token?: unknown; readonly expirationTimestamp?: unknown };
}

/**
 * Tokens from the API server (authentication.k8s.io/v1 TokenRequest), for the audience of the
 * authority only.
 */
export class TokenRequest implements TokenSource {
  readonly description: string;
  readonly #options: TokenRequestOptions;
  readonly #clock: Clock;
  readonly #metrics: AgentMetrics;
  #known: { readonly token: Secret<string>; readonly usableUntil: number } | undefined;

  constructor(
    options: TokenRequestOptions,
    deps: { readonly clock: Clock; readonly metrics: AgentMetrics },
  ) {
    const { namespace, serviceAccount, kubeconfig } = options;
    this.description = `TokenRequest for ${namespace}/${serviceAccount} by ${kubeconfig}`;
    this.#options = options;
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
  }

  async token(): Promise<Secret<string>> {
    if (this.#known && this.#clock.now() < this.#known.usableUntil) return this.#known.token;
    const labels = { request_type: 'token' } as const;
    const startMs = this.#clock.monotonicMs();
    this.#metrics.outgoingRequests.inc(labels);
    try {
      return this.#remember(await this.#ask());
    } catch (error) {
      this.#metrics.failedOutgoingRequests.inc(labels);
      throw error;
    } finally {
      this.#metrics.outgoingLatencyMs.inc(labels, this.#clock.monotonicMs() - startMs);
    }
  }

  wasRefused(): void {
    this.#known = undefined;
  }

  async #ask(): Promise<KubeResponse> {
    const { kubeconfig, namespace, serviceAccount, audience } = this.#options;
    let client: KubeClient | undefined;
    try {
      client = new KubeClient(await readKubeconfig(kubeconfig));
      const response = await client.send({
        method: 'POST',
        path: `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { audiences: [audience], expirationSeconds: LIFETIME_SECONDS },
        },
      });
      if (response.status !== 404 || (await isOffered(client))) return response;
      throw new Error('this API server gives no tokens for an audience');
    } catch (cause) {
      const remedy =
        'check the kubeconfig and the server; an old one needs a tokenFile and jwtPolicy';
      throw this.#failed(describeError(cause), remedy, cause);
    } finally {
      client?.close();
    }
  }

  #remember(response: KubeResponse): Secret<string> {
    const { namespace, serviceAccount } = this.#options;
    if (response.status >= 400) {
      const remedies: Readonly<Record<number, string>> = {
        404: `kubectl create serviceaccount ${serviceAccount} -n ${namespace}`,
        403: 'let the user of the kubeconfig create serviceaccounts/token',
      };
      const error = refusal(response);
      throw this.#failed(error.message, remedies[response.status] ?? 'check the kubeconfig', error);
    }
    const { token, expirationTimestamp } = (response.body as TokenRequestAnswer)?.status ?? {};
    const expiresAt = Date.parse(String(expirationTimestamp));
    const isToken = typeof token === 'string' && token !== '';
    if (!isToken || token.length > LIMITS.tokenBytesMax || Number.isNaN(expiresAt))
      throw this.#failed('the answer holds no token', 'check that it is a Kubernetes API server');
    const now = this.#clock.now();
    this.#known = {
      token: new Secret(token),
      usableUntil: now + (expiresAt - now) * USABLE_PART,
    };
    return this.#known.token;
  }

  #failed(problem: string, remedy: string, cause?: unknown): BulwarkError {
    const { namespace, serviceAccount } = this.#options;
    return new BulwarkError(
      'AGENT_TOKEN_REFUSED',
      `no token for ${namespace}/${serviceAccount}: ${problem}`,
      { remedy, data: { namespace, serviceAccount }, cause },
    );
  }
}
