/** A block of addresses, normalized: no bits set beyond the prefix. */
export interface AddressRange {
  readonly family: 'ipv4' | 'ipv6';
  /** The first address, in the form that Envoy reads. */
  readonly address: string;
  /** In bits: 32 or 128 for a single address. */
  readonly prefixLength: number;
}
