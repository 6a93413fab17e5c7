import type { Clock } from '#base/clock.ts';
import { fetchFailed, type GuardedGetOptions, guardedGet } from '#base/fetch/guarded-get.ts';

export interface HttpsGetOptions extends Omit<GuardedGetOptions, 'url'> {
  readonly url: string;
  /** Milliseconds for all of it. */
  readonly withinMs: number;
}

/**
 * Gets a small text over https, for URLs that users write; nothing is followed elsewhere.
 * @throws BulwarkError NET_FETCH_FAILED, NET_ADDRESS_REFUSED
 */
export async function httpsGet(
  { url: text, withinMs, signal, ...options }: HttpsGetOptions,
  { clock }: { readonly clock: Clock },
): Promise<string> {
  const url = new URL(text);
  if (url.protocol !== 'https:') throw fetchFailed(url, 'only https is fetched from');
  const late = new AbortController();
  const timer = clock.after(withinMs, () => late.abort());
  try {
    const either = AbortSignal.any([late.signal, signal]);
    const answer = await guardedGet({ ...options, url, signal: either });
    if (answer.kind === 'redirect')
      throw fetchFailed(url, 'it leads elsewhere, which is not followed');
    return answer.text;
  } finally {
    timer.cancel();
  }
}
