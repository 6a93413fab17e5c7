/** A row of `authn.json`: one case of a test-suite of Istio. */
export interface AuthnRow {
  readonly release: 'HEAD' | '1.5.10';
  /** The API that the case is about. */
  readonly api: string;
  readonly suite: string;
  readonly name: string;
  /** As the suite has them; a field left out has its zero value. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What is different first between what a row expects and what we make of it. */
export type AuthnCheck = (row: AuthnRow) => string | undefined;
