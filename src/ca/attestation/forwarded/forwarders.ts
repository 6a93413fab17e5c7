import { cidrHolds, isCidr } from '#api/join-token.ts';
import { BulwarkError } from '#base/errors.ts';

export interface ForwardersOptions {
  /** `10.1.0.0/16`: blocks of the addresses of proxies that are believed. */
  readonly ranges: readonly string[];
  /** Whether everybody on this machine is believed as well. */
  readonly loopback: boolean;
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'];

/** The proxies before the authority whose word about the certificates of their callers counts. */
export class Forwarders {
  readonly #options: ForwardersOptions;

  /** @throws BulwarkError SETTINGS_INVALID that names a block that is none */
  constructor(options: ForwardersOptions) {
    const wrong = options.ranges.find((range) => !isCidr(range));
    if (wrong !== undefined) {
      const message = `trustedGatewayCidrs: ${JSON.stringify(wrong)} is no block of addresses`;
      const remedy = 'write ADDRESS/BITS, several of them with commas';
      throw new BulwarkError('SETTINGS_INVALID', message, { remedy });
    }
    this.#options = options;
  }

  /** Whether a peer is believed. @param address `10.1.2.3:4711`; one without a port is not */
  trusts(address: string): boolean {
    return this.isListed(address) || (this.#options.loopback && isIn(LOOPBACK, address));
  }

  /** Whether a peer is in one of the blocks. */
  isListed(address: string): boolean {
    return isIn(this.#options.ranges, address);
  }
}

function isIn(ranges: readonly string[], address: string): boolean {
  const [, bracketed, plain = bracketed ?? ''] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):\d{1,5}$/.exec(address) ?? [];
  return ranges.some((range) => cidrHolds(range, plain));
}
