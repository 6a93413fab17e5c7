const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Milliseconds of a duration as Go and Istio write it (`24h`, `1h30m`, `1.5s`, `0`); undefined when
 * it is none.
 */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  const part = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/y;
  let totalMs = 0;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (!match) return undefined;
    totalMs += Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? Number.NaN);
  }
  return text === '' ? undefined : totalMs;
}

/** A duration as a person writes it: `24h`, `1h30m`, `90s` → `1m30s`, `250ms`. */
export function formatDurationMs(totalMs: number): string {
  if (totalMs === 0) return '0s';
  if (Math.abs(totalMs) < 1000) return `${Math.round(totalMs)}ms`;
  const sign = totalMs < 0 ? '-' : '';
  let seconds = Math.round(Math.abs(totalMs) / 1000);
  const hours = Math.floor(seconds / 3600);
  seconds -= hours * 3600;
  const minutes = Math.floor(seconds / 60);
  seconds -= minutes * 60;
  const parts = [hours && `${hours}h`, minutes && `${minutes}m`, seconds && `${seconds}s`];
  return sign + parts.filter(Boolean).join('');
}
