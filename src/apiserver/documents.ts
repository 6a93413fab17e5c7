import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { mediaRanges } from '#apiserver/accept.ts';
import {
  AGGREGATED_TYPE,
  aggregated,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from '#apiserver/discovery.ts';
import { openApiDocument, openApiDocumentPaths } from '#apiserver/openapi.ts';
import { type Answer, jsonAnswer, textAnswer } from '#apiserver/present.ts';
import type { ApiRequest } from '#apiserver/resource-context.ts';
import { notAcceptable, unknownResource } from '#apiserver/status.ts';
import { OpenApiV2DocumentSchema } from '#gen/bulwark/kubernetes/openapi_pb.js';

const V2_INFO = { swagger: '2.0', info: { title: 'Kubernetes', version: '1.33' }, paths: {} };
const V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/**
 * A document that changes only with the program: made when first asked for, then kept with its
 * hash.
 */
class FixedDocument {
  readonly #make: () => object;
  #made: { readonly text: string; readonly hash: string } | undefined;

  constructor(make: () => object) {
    this.#make = make;
  }

  get text(): string {
    return this.#get().text;
  }

  get hash(): string {
    return this.#get().hash;
  }

  #get() {
    if (!this.#made) {
      const text = JSON.stringify(this.#make());
      const hash = createHash('sha512').update(text).digest('hex').toUpperCase();
      this.#made = { text, hash };
    }
    return this.#made;
  }

  /** The document, or 304 when the client has it already (RFC 9110 section 13.1.2). */
  answer(request: ApiRequest, contentType: string, headers: Record<string, string>): Answer {
    const etag = `"${this.hash}"`;
    const all = { ...headers, etag };
    const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim());
    if (known?.includes(etag)) return { code: 304, contentType, body: '', headers: all };
    return { code: 200, contentType, body: this.text, headers: all };
  }
}

/** Discovery and OpenAPI: what tells clients what there is. */
export class Documents {
  readonly #address: () => string;
  readonly #core = new FixedDocument(() => aggregated(true));
  readonly #groups = new FixedDocument(() => aggregated(false));
  readonly #openApi = new Map<string, FixedDocument>();
  readonly #index = new FixedDocument(() => this.#indexBody());

  /** @param address host and port of the server */
  constructor(address: () => string) {
    this.#address = address;
    for (const path of openApiDocumentPaths()) {
      this.#openApi.set(path, new FixedDocument(() => openApiDocument(path) ?? {}));
    }
  }

  /**
   * The answer to a GET of `path`; undefined when no document has that path.
   * @throws ApiError 404 or 406
   */
  answer(request: ApiRequest): Answer | undefined {
    const path = request.path.replace(/(?<=.)\/+$/, '');
    if (path === '/api') return this.#root(request, this.#core, () => apiVersions(this.#address()));
    if (path === '/apis') return this.#root(request, this.#groups, apiGroupList);
    if (path === '/openapi/v2') return openApiV2(request);
    if (path === '/openapi/v3') {
      return this.#index.answer(request, 'text/plain; charset=utf-8', NOT_CACHED);
    }
    if (path.startsWith('/openapi/v3/')) return this.#openApiV3(request, path.slice(12));
    return groupDocument(path);
  }

  #root(request: ApiRequest, whole: FixedDocument, plain: () => object): Answer {
    for (const { type, parameters } of mediaRanges(request.headers.accept)) {
      const as = parameters.get('as');
      if (as === 'APIGroupDiscoveryList' && parameters.get('v') === 'v2') {
        return whole.answer(request, AGGREGATED_TYPE, {
          vary: 'Accept',
          'cache-control': 'public',
        });
      }
      if (as === undefined && ['application/json', 'application/*', '*/*'].includes(type)) {
        return jsonAnswer(plain());
      }
    }
    throw notAcceptable(
      `406: Not Acceptable\n\nAvailable representations: application/json, ${AGGREGATED_TYPE}`,
    );
  }

  #indexBody(): object {
    const paths = [...this.#openApi].map(([path, { hash }]) => [
      path,
      { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` },
    ]);
    return { paths: Object.fromEntries(paths) };
  }

  /**
   * A document under its hash may be kept for ever; under another hash the client is sent to the
   * right one.
   */
  #openApiV3(request: ApiRequest, path: string): Answer {
    const document = this.#openApi.get(path);
    if (!document) return textAnswer(404, '404 page not found\n');
    const hash = request.query.get('hash');
    const vary = { vary: 'Accept' };
    if (hash === null || hash === '') {
      return document.answer(request, 'application/json', { ...NOT_CACHED, ...vary });
    }
    if (hash === document.hash) {
      const headers = { 'cache-control': 'public, immutable', ...vary };
      return document.answer(request, 'application/json', headers);
    }
    const location = `/openapi/v3/${path}?hash=${document.hash}`;
    return { code: 301, contentType: 'application/json', body: '', headers: { location, ...vary } };
  }
}

const NOT_CACHED = { 'cache-control': 'no-cache, private' };

/** `/api/v1`, `/apis/<group>`, `/apis/<group>/<version>`. */
function groupDocument(path: string): Answer | undefined {
  const [, root, first = '', second, ...more] = path.split('/');
  if (more.length > 0 || first === '') return undefined;
  if (root === 'api' && second === undefined) return listAnswer('', first);
  if (root !== 'apis') return undefined;
  const group = apiGroup(first);
  if (!group) return undefined;
  return second === undefined ? jsonAnswer(group) : listAnswer(first, second);
}

function listAnswer(group: string, version: string): Answer {
  const list = apiResourceList(group, version);
  if (!list) throw unknownResource();
  return jsonAnswer(list);
}

/**
 * Kept for clients that fall back to it when they do not find a kind; it describes none, v3
 * describes all.
 */
function openApiV2(request: ApiRequest): Answer {
  const wanted = mediaRanges(request.headers.accept);
  if (wanted.some(({ type }) => type.includes('proto-openapi'))) {
    const message = create(OpenApiV2DocumentSchema, V2_INFO);
    const body = Buffer.from(toBinary(OpenApiV2DocumentSchema, message));
    return { code: 200, contentType: V2_PROTOBUF, body };
  }
  return jsonAnswer({ ...V2_INFO, definitions: {} });
}
