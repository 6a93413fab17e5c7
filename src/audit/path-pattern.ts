/** Segments of a path that are looked at; the rest is one `**`. */
const SEGMENTS_MAX = 12;
/** A number, a UUID, or a long text with digits in it: the key of something. */
const KEY = /^(\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=.*\d)[\w~.%=+-]{16,}|.{33,})$/i;

/** A path with `*` in place of parts that are different for each thing that is asked for. */
export function pathPattern(path: string): string {
  const segments = path.split('/');
  const shown = segments
    .slice(0, SEGMENTS_MAX)
    .map((segment) => (KEY.test(segment) ? '*' : segment));
  return [...shown, ...(segments.length > SEGMENTS_MAX ? ['**'] : [])].join('/');
}
