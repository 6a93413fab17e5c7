/** A row of `primitives.json`: one case of a test of Istio. */
export interface PrimitiveRow {
  readonly suite: string;
  readonly name: string;
  /** As the test has them; a field left out has its zero value. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What is different first between what a row expects and what we make of it. */
export type PrimitiveCheck = (
  row: PrimitiveRow,
) => string | undefined | Promise<string | undefined>;

/** The rows of a test of which we have no counterpart, with the reason. */
export function absent(reason: string): PrimitiveCheck {
  return () => `not built: ${reason}`;
}
