import { notAcceptable } from '#apiserver/status.ts';

/** One entry of an Accept header (RFC 9110 section 12.5.1). */
export interface MediaRange {
  /** `application/json`, in lower case. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const RANGES_MAX = 50;

/** The entries of an Accept header, the most wanted first; everything when there is none. */
export function mediaRanges(header: string | undefined): readonly MediaRange[] {
  const wanted = header === undefined || header.trim() === '' ? '*/*' : header;
  const ranges = wanted.split(',', RANGES_MAX).map(parseRange);
  return ranges.sort((a, b) => quality(b) - quality(a)).filter((range) => quality(range) > 0);
}

function parseRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim());
  const pairs = parameters.map((parameter): [string, string] => {
    const [name = '', value = ''] = parameter.split('=', 2);
    return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')];
  });
  return { type: type.toLowerCase(), parameters: new Map(pairs) };
}

function quality({ parameters }: MediaRange): number {
  const value = Number(parameters.get('q') ?? 1);
  return Number.isNaN(value) ? 0 : value;
}

/** How objects are to be written. */
export interface ObjectFormat {
  readonly media: 'json' | 'yaml';
  /**
   * Another form of the object (kubernetes.io, "Receiving resources as Tables"); undefined = the
   * object itself.
   */
  readonly as: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList' | undefined;
  /** Version of the group meta.k8s.io that the other form is wanted in. */
  readonly version: 'v1' | 'v1beta1';
}

const PLAIN_JSON: ObjectFormat = { media: 'json', as: undefined, version: 'v1' };
const FORMS = ['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'] as const;

/**
 * The first form that the client accepts and the API has.
 * @throws ApiError 406
 */
export function objectFormat(header: string | undefined): ObjectFormat {
  for (const range of mediaRanges(header)) {
    const format = formatOf(range);
    if (format) return format;
  }
  throw notAcceptable(
    '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml',
  );
}

function formatOf({ type, parameters }: MediaRange): ObjectFormat | undefined {
  const as = parameters.get('as');
  if (type === 'application/json' && as !== undefined) {
    const version = parameters.get('v');
    const form = FORMS.find((name) => name === as);
    if (!form || parameters.get('g') !== 'meta.k8s.io') return undefined;
    return version === 'v1' || version === 'v1beta1'
      ? { media: 'json', as: form, version }
      : undefined;
  }
  if (as !== undefined) return undefined;
  if (['application/json', 'application/*', '*/*'].includes(type)) return PLAIN_JSON;
  return type === 'application/yaml' ? { ...PLAIN_JSON, media: 'yaml' } : undefined;
}
