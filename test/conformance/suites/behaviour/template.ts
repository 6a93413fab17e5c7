/** What a template may name: a value, or a function of texts. */
export type TemplateValue =
  | string
  | number
  | ((...args: readonly string[]) => TemplateValue)
  | { readonly [name: string]: TemplateValue };

/** `{{ .Namespace }}`, with the space that a dash at either end takes away. */
const ACTION = /(\s*)\{\{(-?)\s*(.*?)\s*(-?)\}\}(\s*)/g;
/** A name behind a dot, a text in quotes, a bracket. */
const TOKEN = /\.[A-Za-z]\w*|`[^`]*`|"[^"]*"|[()]/g;

/**
 * Fills in a template of Go, as far as these data need it: names behind dots, and functions of
 * texts, with brackets.
 * @throws Error for anything else
 */
export function renderTemplate(text: string, values: TemplateValue): string {
  return text.replaceAll(ACTION, (_all, before: string, left: string, action: string, ...more) => {
    const [right, after] = more as [string, string];
    const value = filledIn(action, values);
    if (typeof value === 'object' || typeof value === 'function')
      throw new Error(`not built: template {{ ${action} }}`);
    return `${left ? '' : before}${value}${right ? '' : after}`;
  });
}

function filledIn(action: string, values: TemplateValue): TemplateValue {
  const tokens = action.match(TOKEN) ?? [];
  const isKnown = tokens.join('') === action.replaceAll(/\s+/g, '');
  if (!isKnown || tokens.length === 0) throw new Error(`not built: template {{ ${action} }}`);
  let current: TemplateValue = values;
  for (const token of tokens) {
    // What is in brackets goes on behind them.
    if (token === '(') current = values;
    else if (token !== ')') current = next(current, token, action);
  }
  return typeof current === 'function' ? current() : current;
}

function next(current: TemplateValue, token: string, action: string): TemplateValue {
  const isText = /^["`]/.test(token);
  if (isText && typeof current === 'function') return current(token.slice(1, -1));
  const name = token.slice(1);
  if (isText || typeof current !== 'object' || !Object.hasOwn(current, name))
    throw new Error(`not built: template {{ ${action} }} has no ${token}`);
  return current[name] as TemplateValue;
}
