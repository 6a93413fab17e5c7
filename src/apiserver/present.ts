import { dump } from 'js-yaml';
import type { KindDefinition } from '#api/kind.ts';
import type { ApiObject } from '#api/object.ts';
import type { ObjectFormat } from '#apiserver/accept.ts';
import { type IncludeObject, partialObject, table, tableRow } from '#apiserver/table.ts';
import { textOf } from '#store/frozen.ts';

/** What a handler answers; the server writes it out. */
export interface Answer {
  readonly code: number;
  readonly contentType: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** An answer in JSON. */
export function jsonAnswer(
  body: unknown,
  options: { readonly code?: number; readonly headers?: Answer['headers'] } = {},
): Answer {
  const { code = 200, headers = {} } = options;
  return { code, contentType: 'application/json', body: JSON.stringify(body), headers };
}

/** An answer in plain text. */
export function textAnswer(code: number, body: string): Answer {
  return { code, contentType: 'text/plain; charset=utf-8', body };
}

/** Writes objects of one kind, in one of its versions, in the form that a client accepts. */
export class Presenter {
  readonly kind: KindDefinition;
  readonly format: ObjectFormat;
  readonly #apiVersion: string;
  readonly #include: IncludeObject;
  readonly #now: () => number;
  /** What the text of every stored object of this kind begins with. */
  readonly #stored: string;

  constructor(options: {
    readonly kind: KindDefinition;
    readonly version: string;
    readonly format: ObjectFormat;
    readonly include: IncludeObject;
    /** Milliseconds since 1970. */
    readonly now: () => number;
  }) {
    const { kind, version } = options;
    this.kind = kind;
    this.format = options.format;
    this.#apiVersion = kind.group === '' ? version : `${kind.group}/${version}`;
    this.#include = options.include;
    this.#now = options.now;
    this.#stored = prefixOf(kind.apiVersion, kind.kind);
  }

  /** One object. */
  answer(object: ApiObject, options: Parameters<typeof jsonAnswer>[1] = {}): Answer {
    const { code = 200, headers = {} } = options;
    if (this.format.media === 'yaml') {
      const body = dump(this.#present(object), { sortKeys: true });
      return { code, contentType: 'application/yaml', body, headers };
    }
    const { resourceVersion } = object.metadata;
    const body =
      this.format.as === 'Table'
        ? JSON.stringify(this.#table([object], { resourceVersion }))
        : this.text(object);
    return { code, contentType: 'application/json', body, headers };
  }

  /** A list; `metadata` is that of the list. */
  listAnswer(items: readonly ApiObject[], metadata: object): Answer {
    const contentType = 'application/json';
    const { as, media, version } = this.format;
    if (as === 'Table') {
      return jsonAnswer(this.#table(items, metadata));
    }
    const [kind, apiVersion] =
      as === undefined
        ? [this.kind.listKind, this.#apiVersion]
        : ['PartialObjectMetadataList', `meta.k8s.io/${version}`];
    if (media === 'yaml') {
      const body = { kind, apiVersion, metadata, items: items.map((item) => this.#present(item)) };
      return { code: 200, contentType: 'application/yaml', body: dump(body, { sortKeys: true }) };
    }
    const head = JSON.stringify({ kind, apiVersion, metadata }).slice(0, -1);
    const texts = items.map((item) => this.#itemText(item));
    return { code: 200, contentType, body: `${head},"items":[${texts.join(',')}]}` };
  }

  /** One object as JSON text, in the form and version asked for. */
  text(object: ApiObject): string {
    if (this.format.as !== undefined) return JSON.stringify(this.#partial(object));
    const text = textOf(object);
    if (this.#apiVersion === this.kind.apiVersion) return text;
    if (!text.startsWith(this.#stored)) return JSON.stringify(this.#present(object));
    return prefixOf(this.#apiVersion, this.kind.kind) + text.slice(this.#stored.length);
  }

  /** One event of a watch, as its line of JSON. */
  eventLine(type: string, object: ApiObject, options: { readonly first: boolean }): string {
    const text =
      this.format.as === 'Table'
        ? JSON.stringify(
            this.#table([object], { resourceVersion: object.metadata.resourceVersion }, options),
          )
        : this.text(object);
    return `{"type":"${type}","object":${text}}\n`;
  }

  /** The event that tells a client how far it is, without an object. */
  bookmarkLine(resourceVersion: string, options: { readonly initialEventsEnd: boolean }): string {
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    const metadata = {
      resourceVersion,
      ...(options.initialEventsEnd ? { annotations } : {}),
    };
    const { as, version } = this.format;
    const object =
      as === 'Table'
        ? table([], { kind: this.kind, version, metadata, columns: false })
        : as === undefined
          ? { kind: this.kind.kind, apiVersion: this.#apiVersion, metadata }
          : { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata };
    return `${JSON.stringify({ type: 'BOOKMARK', object })}\n`;
  }

  /** Items of lists of built-in kinds carry no apiVersion and kind, those of custom kinds do. */
  #itemText(object: ApiObject): string {
    const text = this.text(object);
    if (this.format.as !== undefined || this.kind.custom) return text;
    return text.startsWith(this.#stored) ? `{${text.slice(this.#stored.length)}` : text;
  }

  #table(items: readonly ApiObject[], metadata: object, options?: { first: boolean }): object {
    const { kind, format } = this;
    const rowOptions = {
      kind,
      include: this.#include,
      version: format.version,
      now: this.#now(),
      present: (object: ApiObject) => this.#present(object),
    };
    const rows = items.map((item) => tableRow(item, rowOptions));
    const columns = options?.first ?? true;
    return table(rows, { kind, version: format.version, metadata, columns });
  }

  #partial(object: ApiObject): object {
    return partialObject(object, this.format.version);
  }

  #present(object: ApiObject): ApiObject {
    return { ...object, apiVersion: this.#apiVersion, kind: this.kind.kind };
  }
}

function prefixOf(apiVersion: string, kind: string): string {
  return `${JSON.stringify({ apiVersion, kind }).slice(0, -1)},`;
}
