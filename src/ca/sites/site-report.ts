import { BulwarkError } from '#base/errors.ts';

/**
 * What a server below another one says of its mesh each time it asks for the roots, so that the
 * root above is not replaced under workloads that do not know the next one (ADR 14).
 */
export interface SiteReport {
  /** Key ids of the roots that its workloads are told to trust, lower case hex. */
  readonly trusted: readonly string[];
  /**
   * Key ids of the roots above every certificate that its workloads serve with, and above its own;
   * '' stands for one that it does not know.
   */
  readonly standsOn: readonly string[];
  /** How many workloads have not taken `trusted`. */
  readonly missingCount: number;
  /** Some of these. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

/** What is said until it is set who knows: nobody is proven to trust anything. */
export function reportNothing({
  signerKeyId,
  rootAbove,
}: {
  readonly signerKeyId: string;
  readonly rootAbove: (authorityKeyId: string) => string | undefined;
}): SiteReport {
  return { trusted: [], standsOn: [rootAbove(signerKeyId) ?? ''], missingCount: 0, missing: [] };
}

/** Workloads that a report names. */
export const SITE_MISSING_NAMED = 10;
const REPORT_LENGTH_MAX = 16_384;
const ROOTS_MAX = 32;
const TEXT_LENGTH_MAX = 512;

/** The report as it is sent: JSON. */
export function encodeSiteReport(report: SiteReport): string {
  return JSON.stringify(report);
}

/**
 * Reads a report; undefined for '', which older servers send.
 * @throws BulwarkError CA_CSR_INVALID when it is none
 */
export function readSiteReport(text: string): SiteReport | undefined {
  if (text === '') return undefined;
  const found = text.length <= REPORT_LENGTH_MAX ? parsed(text) : undefined;
  const { trusted, standsOn, missingCount, missing } = (found ?? {}) as Partial<SiteReport>;
  const isWhole =
    isTexts(trusted, ROOTS_MAX) &&
    isTexts(standsOn, ROOTS_MAX) &&
    Number.isSafeInteger(missingCount) &&
    Array.isArray(missing) &&
    missing.length <= SITE_MISSING_NAMED &&
    missing.every((one) => isTexts([one?.name, one?.reason], 2));
  if (!isWhole || !trusted || !standsOn || !missing || missingCount === undefined)
    throw new BulwarkError('CA_CSR_INVALID', 'BulwarkSite in the metadata is no report of a site');
  const named = missing.map(({ name, reason }) => ({ name, reason }));
  return { trusted, standsOn, missingCount, missing: named };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown, most: number): boolean {
  const isText = (one: unknown) => typeof one === 'string' && one.length <= TEXT_LENGTH_MAX;
  return Array.isArray(value) && value.length <= most && value.every(isText);
}
