import type { PathNormalization } from '#model/mesh-settings.ts';

/** What proxies do to the path of a request before policy sees it. */
export interface PathRules {
  /** `.` and `..` are taken out, escapes of unreserved characters undone (`normalize_path`). */
  readonly normalizes: boolean;
  /** Repeated slashes become one (`merge_slashes`). */
  readonly mergesSlashes: boolean;
  /** `%2f` and `%5c` become slashes (`path_with_escaped_slashes_action`). */
  readonly unescapesSlashes: boolean;
}

/** The normalizations of Istio (MeshConfig, `pathNormalization`), each more than the one before. */
export const PATH_NORMALIZATIONS: Readonly<Record<PathNormalization, PathRules>> = {
  NONE: { normalizes: false, mergesSlashes: false, unescapesSlashes: false },
  BASE: { normalizes: true, mergesSlashes: false, unescapesSlashes: false },
  MERGE_SLASHES: { normalizes: true, mergesSlashes: true, unescapesSlashes: false },
  DECODE_AND_MERGE_SLASHES: { normalizes: true, mergesSlashes: true, unescapesSlashes: true },
};
