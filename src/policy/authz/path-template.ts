/** A path of `{*}` (one segment) and `{**}` (any number) beside literal text, checked. */
export interface PathTemplate {
  /** As Envoy's URI template matcher reads it: `/a/*` + `/**`. */
  readonly text: string;
}
