/** What `scanJson` saw in a JSON text. */
export interface JsonScan {
  /** Whether it is nested deeper than allowed. */
  readonly tooDeep: boolean;
  /** Paths of fields that stand twice in one object, such as `data.a`, each once. */
  readonly duplicates: readonly string[];
}

/** One object or list that is open at the moment. */
interface Frame {
  /** The fields so far; undefined for a list. */
  readonly keys: Set<string> | undefined;
  /** The field that its next value belongs to. */
  key: string;
  /** Items before the present one, for lists. */
  index: number;
  /** Whether the next string is a field's name. */
  expectsKey: boolean;
}

/**
 * Looks over a JSON text before it is parsed, for what JSON.parse does not tell: how deep it goes,
 * and fields that stand twice (of which JSON.parse silently takes the last). Says nothing about
 * whether the text is well formed.
 */
export function scanJson(text: string, depthMax: number): JsonScan {
  const open: Frame[] = [];
  const duplicates = new Set<string>();
  for (let at = 0; at < text.length; at += 1) {
    const top = open.at(-1);
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (top?.keys && top.expectsKey) noteKey(open, top, text.slice(at, end + 1), duplicates);
        at = end;
        break;
      }
      case '{':
      case '[': {
        if (open.length >= depthMax) return { tooDeep: true, duplicates: [...duplicates] };
        const isObject = text[at] === '{';
        const keys = isObject ? new Set<string>() : undefined;
        open.push({ keys, key: '', index: 0, expectsKey: isObject });
        break;
      }
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (top) {
          top.index += 1;
          top.expectsKey = top.keys !== undefined;
        }
        break;
      default:
    }
  }
  return { tooDeep: false, duplicates: [...duplicates] };
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

function noteKey(
  open: readonly Frame[],
  top: Frame,
  quoted: string,
  duplicates: Set<string>,
): void {
  const key = unquoted(quoted);
  top.key = key;
  top.expectsKey = false;
  if (top.keys?.has(key)) duplicates.add(pathOf(open));
  top.keys?.add(key);
}

function unquoted(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}

function pathOf(open: readonly Frame[]): string {
  let path = '';
  for (const { keys, key, index } of open) {
    if (!keys) path += `[${index}]`;
    else path += path === '' ? key : `.${key}`;
  }
  return path;
}
