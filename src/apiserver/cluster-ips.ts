import type { Diagnostic } from '#api/diagnostic.ts';
import { invalid } from '#api/field-error.ts';
import type { ApiObject } from '#api/object.ts';
import type { RandomSource } from '#base/random.ts';
import type { Store, StoreWatch } from '#store/store.ts';

/**
 * The first address and the number of addresses of 10.96.0.0/12, Kubernetes' usual range for
 * services.
 */
const FIRST = (10 << 24) + (96 << 16);
const COUNT = 1 << 20;
/** Kubernetes' own services have fixed places at the beginning of the range. */
const RESERVED = 16;
const RANGE = '10.96.0.0/12';
const ATTEMPTS_MAX = 64;

interface Service extends ApiObject {
  readonly spec?: { readonly clusterIP?: string; readonly type?: string };
}

/** The address that a service holds; undefined when it holds none (headless, or only a name). */
function addressOf(service: ApiObject): number | undefined {
  return parseAddress((service as Service).spec?.clusterIP ?? '');
}

/** What became of the wish for an address. */
export interface Claim {
  /** Whether it is held from now on, and was not before. */
  readonly taken: boolean;
  readonly problem?: Diagnostic;
}

/**
 * Gives services their virtual addresses, each to one service only. Which are taken is read from
 * the store; an address is held from the moment it is given, before the service that it is for is
 * written.
 */
export class ClusterIps {
  readonly #store: Store;
  readonly #random: RandomSource;
  /** Address → who holds it: `namespace/name` of a service. */
  readonly #holders = new Map<number, string>();
  #watch: StoreWatch | undefined;

  constructor({ store, random }: { readonly store: Store; readonly random: RandomSource }) {
    this.#store = store;
    this.#random = random;
  }

  async start(): Promise<void> {
    const { items, resourceVersion } = await this.#store.list('services');
    this.#holders.clear();
    for (const service of items) this.#note(service);
    this.#watch = this.#store.watch(
      { kinds: ['services'], from: resourceVersion },
      {
        onEvent: ({ type, object, previous }) => {
          if (previous && addressOf(previous) !== addressOf(object)) this.#forget(previous);
          if (type === 'DELETED') this.#forget(object);
          else this.#note(object);
        },
        onError: () => void this.start(),
      },
    );
  }

  close(): void {
    this.#watch?.close();
  }

  /** A free address for the service, held for it until it is released or the service is deleted. */
  allocate(holder: string): string | undefined {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const address =
        FIRST + RESERVED + Math.floor(this.#random.fraction() * (COUNT - RESERVED - 1));
      if (this.#holders.has(address)) continue;
      this.#holders.set(address, holder);
      return formatAddress(address);
    }
    return undefined;
  }

  /** Holds the address that the user asks for, or says why it cannot be had. */
  claim(address: string, holder: string): Claim {
    const problem = (why: string): Claim => ({
      taken: false,
      problem: invalid('spec.clusterIPs', [address], `failed to allocate IP ${address}: ${why}`),
    });
    const number = parseAddress(address);
    if (number === undefined || number <= FIRST || number >= FIRST + COUNT - 1) {
      return problem(
        `the provided IP is not in the valid range. The range of valid IPs is ${RANGE}`,
      );
    }
    const present = this.#holders.get(number);
    if (present === holder) return { taken: false };
    if (present !== undefined) return problem('provided IP is already allocated');
    this.#holders.set(number, holder);
    return { taken: true };
  }

  /** Lets go of an address whose service was not written. */
  release(address: string, holder: string): void {
    const number = parseAddress(address);
    if (number !== undefined && this.#holders.get(number) === holder) this.#holders.delete(number);
  }

  #note(service: ApiObject): void {
    const address = addressOf(service);
    if (address !== undefined) this.#holders.set(address, holderOf(service));
  }

  #forget(service: ApiObject): void {
    const address = addressOf(service);
    if (address !== undefined && this.#holders.get(address) === holderOf(service)) {
      this.#holders.delete(address);
    }
  }
}

/** How a service is named as holder of an address. */
export function holderOf({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function parseAddress(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (!parts || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((address, part) => address * 256 + part, 0);
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(address / 2 ** bits) % 256).join('.');
}
