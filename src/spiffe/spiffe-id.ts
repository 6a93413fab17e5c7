declare const trustDomainBrand: unique symbol;
declare const spiffeIdBrand: unique symbol;

/** A trust domain name that was checked: lower case letters, digits, `.`, `-`, `_` (SPIFFE-ID section 2.1). */
export type TrustDomain = string & { readonly [trustDomainBrand]: true };

/** A SPIFFE id that was checked, in its one text form `spiffe://<trust domain>/<path>`. */
export type SpiffeId = string & { readonly [spiffeIdBrand]: true };
